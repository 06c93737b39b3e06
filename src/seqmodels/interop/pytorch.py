"""Conversion from and to ``torch.nn.RNN``, ``torch.nn.LSTM`` and ``torch.nn.GRU``."""

from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.cells import Cell, ElmanCell, LSTMCell, ProjectedLSTMCell, ResetAfterGRUCell
from seqmodels.layers import Bidirectional, Recurrent, SequenceLayer, Stack


def from_torch(module: nn.RNNBase, *, backend: str = "auto") -> Stack:
    """Return the stack that computes what a ``torch.nn`` module computes.

    All layers, both directions, ``bias=False`` and ``proj_size`` are supported; torch's two biases, which are always
    added, become one. The stack is batch first, whatever ``module`` is. In training its dropout between layers zeroes
    a feature for a whole sequence, where torch draws a new mask at each step.

    Args:
        module: an ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU``.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Returns:
        The stack, with copies of the weights, in the mode (training or evaluation) of ``module``.

    Raises:
        TypeError: ``module`` is of another class.

    Example:
        >>> theirs = nn.LSTM(4, 5, num_layers=2, batch_first=True)
        >>> x = torch.randn(3, 7, 4)
        >>> torch.allclose(from_torch(theirs)(x)[0], theirs(x)[0], atol=1e-6)
        True
    """
    if type(module) not in (nn.RNN, nn.LSTM, nn.GRU):
        raise TypeError(f"module must be an nn.RNN, nn.LSTM or nn.GRU, got {type(module).__name__}")
    layers: list[SequenceLayer[Any]] = []
    for level in range(module.num_layers):
        layer: SequenceLayer[Any] = Recurrent(_cell(module, f"_l{level}"), backend=backend)
        if module.bidirectional:
            backward = Recurrent(_cell(module, f"_l{level}_reverse"), reverse=True, backend=backend)
            layer = Bidirectional(layer, backward)
        layers.append(layer)
    return Stack(layers, dropout=module.dropout).train(module.training)


def to_torch(stack: Stack) -> nn.RNNBase:
    """Return the ``torch.nn`` module, batch first, that computes what a stack computes in evaluation.

    The one bias becomes ``bias_ih``; ``bias_hh`` is 0, except for the candidate of a GRU, which has two biases.

    Args:
        stack: recurrent layers of one cell that ``torch.nn`` has, in one direction or both.

    Returns:
        The module, with copies of the weights.

    Raises:
        TypeError: ``stack`` is not a :class:`~seqmodels.layers.Stack`.
        ValueError: ``torch.nn`` has no module for it; the message says why.

    Example:
        >>> to_torch(Stack([Recurrent(LSTMCell(4, 5)), Recurrent(LSTMCell(5, 5))]))
        LSTM(4, 5, num_layers=2, batch_first=True)
    """
    if not isinstance(stack, Stack):
        raise TypeError(f"stack must be a Stack, got {type(stack).__name__}; wrap a single layer: Stack([layer])")
    if stack.residual:
        raise ValueError("stack must not be residual: torch.nn has no residual recurrent layers")
    directions = [_cells_of(layer, level) for level, layer in enumerate(stack.layers)]
    first = directions[0][0]
    for level, cells in enumerate(directions):
        for cell in cells:
            if _options(cell) != _options(first) or len(cells) != len(directions[0]):
                found = f"{_described(cells)} at layer {level} over {_described(directions[0])}"
                raise ValueError(f"stack must have the same cells in all layers to fit a torch.nn module, got {found}")
    module = _empty_module(first, depth=len(directions), bidirectional=len(directions[0]) == 2, dropout=stack.dropout.p)
    for level, cells in enumerate(directions):
        for cell, suffix in zip(cells, (f"_l{level}", f"_l{level}_reverse"), strict=False):
            _fill(module, cell, suffix)
    return module.train(stack.training)


def _cell(module: nn.RNNBase, suffix: str) -> Cell[Any]:
    """Return the cell of one layer and direction, in the dtype and on the device of its weights."""
    weight_ih: Tensor = getattr(module, f"weight_ih{suffix}")
    input_size, hidden_size = weight_ih.shape[1], module.hidden_size
    cell: Cell[Any]
    if isinstance(module, nn.RNN):
        cell = ElmanCell(input_size, hidden_size, activation=module.nonlinearity)
    elif isinstance(module, nn.GRU):
        cell = ResetAfterGRUCell(input_size, hidden_size)
    elif module.proj_size > 0:
        cell = ProjectedLSTMCell(input_size, hidden_size, proj_size=module.proj_size)
    else:
        cell = LSTMCell(input_size, hidden_size)
    cell.to(weight_ih)
    cell.load_state_dict(cell_weights(module, cell, suffix))
    return cell


def cell_weights(module: nn.Module, cell: Cell[Any], suffix: str) -> dict[str, Tensor]:
    """Return the parameters of ``cell``, by name, as functions of those of one layer and direction of ``module``.

    ``module`` names its parameters as ``torch.nn`` does. Its two biases only ever appear as a sum, which is the cell's
    one; but for the candidate of a GRU, which keeps both. Gradients flow through to the parameters.
    """
    weight_ih: Tensor = getattr(module, f"weight_ih{suffix}")
    zeros = None if module.bias else weight_ih.new_zeros(weight_ih.shape[0])
    bias_ih: Tensor = getattr(module, f"bias_ih{suffix}") if zeros is None else zeros
    bias_hh: Tensor = getattr(module, f"bias_hh{suffix}") if zeros is None else zeros
    made: dict[str, Tensor] = {}
    if isinstance(cell, ResetAfterGRUCell):
        summed = 2 * cell.hidden_size  # rows of r and z; those of the candidate follow
        made["bias"] = torch.cat([bias_ih[:summed] + bias_hh[:summed], bias_ih[summed:]])
        made["bias_hn"] = bias_hh[summed:]
    else:
        made["bias"] = bias_ih + bias_hh
    return {name: made[name] if name in made else getattr(module, name + suffix) for name in cell._parameters}


def _fill(module: nn.RNNBase, cell: Cell[Any], suffix: str) -> None:
    """Copy the weights of ``cell`` into one layer and direction of ``module``."""
    weights = dict(cell.named_parameters())
    bias_hh = torch.zeros_like(weights["bias"])
    if isinstance(cell, ResetAfterGRUCell):
        bias_hh[2 * cell.hidden_size :] = cell.bias_hn.detach()
    with torch.no_grad():
        getattr(module, f"bias_ih{suffix}").copy_(weights["bias"])
        getattr(module, f"bias_hh{suffix}").copy_(bias_hh)
        for name, weight in weights.items():
            if name.startswith("weight"):  # torch has the same names
                getattr(module, name + suffix).copy_(weight)


def _cells_of(layer: nn.Module, level: int) -> list[Cell[Any]]:
    """Return the cell of each direction of ``layer``, forward first."""
    halves: list[Any] = [layer.forward_layer, layer.backward_layer] if isinstance(layer, Bidirectional) else [layer]
    if not all(isinstance(half, Recurrent) for half in halves) or (len(halves) == 1 and halves[0].reverse):
        raise ValueError(f"torch.nn has only forward and bidirectional layers of one cell each, got {layer} as {level}")
    cells = [half.cell for half in halves]
    for cell in cells:
        if type(cell) not in (ElmanCell, LSTMCell, ProjectedLSTMCell, ResetAfterGRUCell):
            raise ValueError(f"torch.nn has no layer of {type(cell).__name__}, the cell of layer {level}")
        if isinstance(cell, ElmanCell) and cell.activation not in ("tanh", "relu"):
            raise ValueError(f"torch.nn.RNN knows tanh and relu, got {cell.activation} in layer {level}")
    return cells


def _options(cell: Cell[Any]) -> tuple[Any, ...]:
    """Return what all layers of a ``torch.nn`` module share."""
    return type(cell), cell.hidden_size, cell.output_size, getattr(cell, "activation", None)


def _described(cells: list[Cell[Any]]) -> str:
    return " and ".join(map(str, cells))


def _empty_module(cell: Cell[Any], *, depth: int, bidirectional: bool, dropout: float) -> nn.RNNBase:
    """Return a ``torch.nn`` module for cells like ``cell``, with weights still to be filled in."""
    sizes = (cell.input_size, cell.hidden_size, depth)
    weight = next(cell.parameters())
    options: dict[str, Any] = {
        "batch_first": True,
        "bidirectional": bidirectional,
        "dropout": dropout if depth > 1 else 0.0,  # torch warns of a dropout that does nothing
        "device": weight.device,
        "dtype": weight.dtype,
    }
    if isinstance(cell, ElmanCell):
        return nn.RNN(*sizes, nonlinearity=cell.activation, **options)
    if isinstance(cell, ResetAfterGRUCell):
        return nn.GRU(*sizes, **options)
    return nn.LSTM(*sizes, proj_size=cell.proj_size if isinstance(cell, ProjectedLSTMCell) else 0, **options)
