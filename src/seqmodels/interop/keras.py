"""Conversion from and to the weight lists of Keras' SimpleRNN, LSTM and GRU, as ``layer.get_weights()`` returns them.

A list is ``[kernel (input, gates * units), recurrent_kernel (units, gates * units)]`` and, with ``use_bias``, a bias
``(gates * units,)``; that of a GRU with ``reset_after=True`` is ``(2, 3 * units)``, for the input and for the state.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from seqmodels.cells import Cell, ElmanCell, GRUCell, LSTMCell, ResetAfterGRUCell

Array = NDArray[np.floating[Any]]


class _Layout(NamedTuple):
    """A Keras layer: its gates in its order under our names, and those that mean the opposite."""

    cell: type[Cell[Any]]
    gates: tuple[str, ...]
    negated: tuple[str, ...] = ()


_LAYOUTS = {
    "SimpleRNN": _Layout(ElmanCell, ("h",)),
    "LSTM": _Layout(LSTMCell, ("i", "f", "g", "o")),
    # Keras lets z weigh the old state, the cell lets it weigh the candidate: 1 - sigmoid(a) is sigmoid(-a)
    "GRU": _Layout(GRUCell, ("z", "r", "n"), negated=("z",)),
    "GRU, reset_after": _Layout(ResetAfterGRUCell, ("z", "r", "n")),
}


def from_keras(
    kind: Literal["SimpleRNN", "LSTM", "GRU"],
    weights: Sequence[Array],
    *,
    activation: str = "tanh",
    reset_after: bool = True,
) -> Cell[Any]:
    """Return the cell that computes what a Keras layer computes.

    The layer's activations must be Keras' defaults, tanh and sigmoid, except for a SimpleRNN's ``activation``.

    Args:
        kind: class of the Keras layer.
        weights: the result of ``layer.get_weights()``, two or three arrays.
        activation: that of a SimpleRNN: tanh, relu, sigmoid, or identity (Keras' linear).
        reset_after: the GRU's option of that name; True is Keras' default, False the equations of the first paper.

    Returns:
        The cell.

    Raises:
        ValueError: ``kind`` is unknown, or an array has the wrong shape; the message names it.

    Example:
        >>> from_keras("LSTM", [np.zeros((4, 20)), np.zeros((5, 20)), np.zeros(20)])
        LSTMCell(4, 5)
    """
    if kind not in ("SimpleRNN", "LSTM", "GRU"):
        raise ValueError(f"kind must be 'SimpleRNN', 'LSTM' or 'GRU', got {kind!r}")
    if kind != "SimpleRNN" and activation != "tanh":
        raise ValueError(f"activation is an option of SimpleRNN; a converted {kind} has tanh, got {activation!r}")
    two_biases = kind == "GRU" and reset_after
    layout = _LAYOUTS["GRU, reset_after" if two_biases else kind]
    kernel, recurrent_kernel, bias = _checked(weights, len(layout.gates), two_biases)
    input_size, units = kernel.shape[0], recurrent_kernel.shape[0]
    cell: Cell[Any]
    cell = (
        ElmanCell(input_size, units, activation=activation) if kind == "SimpleRNN" else layout.cell(input_size, units)
    )
    state = {"weight_ih": _rows(kernel.T, layout, cell), "weight_hh": _rows(recurrent_kernel.T, layout, cell)}
    if two_biases:
        of_input, of_state = (_rows(half, layout, cell) for half in bias)
        state["bias"] = np.concatenate([(of_input + of_state)[: 2 * units], of_input[2 * units :]])
        state["bias_hn"] = of_state[2 * units :]
    else:
        state["bias"] = _rows(bias, layout, cell)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()}
    cell.to(tensors["weight_ih"].dtype).load_state_dict(tensors)
    return cell


def to_keras(cell: Cell[Any]) -> list[Array]:
    """Return the weights of the Keras layer that computes what a cell computes.

    That layer is ``SimpleRNN(units, activation=...)`` for an :class:`~seqmodels.cells.ElmanCell`, ``LSTM(units)`` for
    an :class:`~seqmodels.cells.LSTMCell`, ``GRU(units, reset_after=False)`` for a :class:`~seqmodels.cells.GRUCell`,
    and ``GRU(units)`` for a :class:`~seqmodels.cells.ResetAfterGRUCell`.

    Args:
        cell: one of these cells.

    Returns:
        Arrays for ``layer.set_weights()``.

    Raises:
        ValueError: Keras has no layer for ``cell``.

    Example:
        >>> [array.shape for array in to_keras(LSTMCell(4, 5))]
        [(4, 20), (5, 20), (20,)]
    """
    layout = next((layout for layout in _LAYOUTS.values() if layout.cell is type(cell)), None)
    if layout is None:
        raise ValueError(f"Keras has no layer of {type(cell).__name__}")
    ours = {name: parameter.detach().cpu().numpy() for name, parameter in cell.named_parameters()}
    bias = ours["bias"]
    if isinstance(cell, ResetAfterGRUCell):
        of_state = np.concatenate([np.zeros(2 * cell.hidden_size, bias.dtype), ours["bias_hn"]])
        keras_bias = np.stack([_rows(half, layout, cell, to_keras=True) for half in (bias, of_state)])
    else:
        keras_bias = _rows(bias, layout, cell, to_keras=True)
    kernels = [_rows(ours[name], layout, cell, to_keras=True).T.copy() for name in ("weight_ih", "weight_hh")]
    return [*kernels, keras_bias]


def _rows(array: Array, layout: _Layout, cell: Cell[Any], *, to_keras: bool = False) -> Array:
    """Reorder the gate blocks of ``array (gates * units, ...)``, and negate those with the opposite meaning."""
    source, target = (cell.gates, layout.gates) if to_keras else (layout.gates, cell.gates)
    blocks = dict(zip(source, np.split(array, len(source)), strict=True))
    return np.concatenate([-blocks[gate] if gate in layout.negated else blocks[gate] for gate in target])


def _checked(weights: Sequence[Array], gates: int, two_biases: bool) -> tuple[Array, Array, Array]:
    """Return kernel, recurrent kernel and bias, which is zero where there is none."""
    if len(weights) not in (2, 3):
        raise ValueError(f"weights must be [kernel, recurrent_kernel] or [..., bias], got {len(weights)} arrays")
    kernel, recurrent_kernel, *biases = map(np.asarray, weights)
    units = recurrent_kernel.shape[0]
    if recurrent_kernel.shape != (units, gates * units):
        raise ValueError(f"recurrent_kernel must have shape (units, {gates} * units), got {recurrent_kernel.shape}")
    if kernel.ndim != 2 or kernel.shape[1] != gates * units:
        raise ValueError(f"kernel must have shape (input, {gates * units}), got {kernel.shape}")
    shape = (2, gates * units) if two_biases else (gates * units,)
    bias = biases[0] if biases else np.zeros(shape, kernel.dtype)
    if bias.shape != shape:
        form = " of a GRU with reset_after=True" if two_biases else ""
        raise ValueError(f"bias{form} must have shape {shape}, got {bias.shape}")
    return kernel, recurrent_kernel, bias
