"""Initialisers: functions that set the parameters of every recurrent cell in a module, in all layers and directions.

Each returns the module. Gates are found by name in ``cell.gates``, the effect of opening one in ``cell.retention``.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from seqmodels.cells.base import Cell
from seqmodels.cells.wrappers.wrapper import Wrapper

Module = TypeVar("Module", bound=nn.Module)

__all__ = ["chrono", "forget_bias", "identity_recurrent", "uniform", "xavier_orthogonal"]


def uniform(module: Module) -> Module:
    """Call ``reset_parameters`` of each cell: weights from U(-1/sqrt(hidden), 1/sqrt(hidden)), as in ``torch.nn``.

    Args:
        module: any module that holds cells.

    Returns:
        ``module``.

    Raises:
        ValueError: ``module`` has no cell.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> bool((uniform(GRUCell(3, 4)).weight_hh.abs() <= 0.5).all())
        True
    """
    for cell in _cells(module):
        cell.reset_parameters()
    return module


@torch.no_grad()
def xavier_orthogonal(module: Module) -> Module:
    """Initialise as Keras does: Glorot-uniform input weights, orthogonal recurrent weights, zero biases, forget bias 1.

    Each matrix is drawn as a whole, over all gates, as Keras does. Vectors of weights (peepholes, the recurrent weights
    of an IndRNN) and gains stay as they are.

    Args:
        module: any module that holds cells.

    Returns:
        ``module``.

    Raises:
        ValueError: ``module`` has no cell.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> xavier_orthogonal(LSTMCell(3, 2)).bias.tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    for cell in _cells(module):
        for name, parameter in cell.named_parameters(recurse=False):
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
            elif name == "weight_hh" and parameter.dim() == 2:
                nn.init.orthogonal_(parameter)
            elif parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)
        if _has_bias(cell, "f"):
            _gate_bias(cell, "f").fill_(cell.retention["f"])
    return module


@torch.no_grad()
def identity_recurrent(module: Module, scale: float = 1.0) -> Module:
    """Set recurrent weights to ``scale`` times the identity and biases to zero.

    With an Elman cell and relu this is the IRNN of Le, Jaitly and Hinton (2015, arXiv 1504.00941). It applies to cells
    with one square recurrent matrix or one vector; cells with several gates stay as they are.

    Args:
        module: any module that holds cells.
        scale: factor of the identity.

    Returns:
        ``module``.

    Raises:
        ValueError: ``module`` has no such cell.

    Example:
        >>> from seqmodels.cells import ElmanCell
        >>> identity_recurrent(ElmanCell(3, 2, activation="relu")).weight_hh.tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    found = False
    for cell in _cells(module):
        weight = getattr(cell, "weight_hh", None)
        if weight is None or {*weight.shape} != {cell.hidden_size}:
            continue
        found = True
        weight.fill_(scale) if weight.dim() == 1 else nn.init.eye_(weight).mul_(scale)
        for name, parameter in cell.named_parameters(recurse=False):
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
    if not found:
        raise ValueError(f"identity_recurrent needs a cell with one recurrent block, got {_names(module)}")
    return module


@torch.no_grad()
def forget_bias(module: Module, value: float = 1.0) -> Module:
    """Set the bias of every forget gate ``f`` to ``value`` (Gers et al., 2000; Jozefowicz et al., 2015).

    A larger value remembers more in every cell: where an open ``f`` replaces the state (MGU), the bias is ``-value``.
    Cells without ``f`` stay as they are.

    Args:
        module: any module that holds cells.
        value: the bias.

    Returns:
        ``module``.

    Raises:
        ValueError: ``module`` has no cell with such a gate.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> forget_bias(LSTMCell(3, 2)).bias.chunk(4)[1].tolist()
        [1.0, 1.0]
    """
    cells = [cell for cell in _cells(module) if _has_bias(cell, "f")]
    if not cells:
        raise ValueError(f"forget_bias needs a cell with a gate 'f', got {_names(module)}")
    for cell in cells:
        _gate_bias(cell, "f").fill_(value * cell.retention["f"])
    return module


@torch.no_grad()
def chrono(module: Module, max_time: float) -> Module:
    """Set gate biases so that memories last up to ``max_time`` steps (Tallec and Ollivier, 2018, arXiv 1804.11188).

    With u drawn from U(1, max_time - 1) for each unit, a gate that keeps the state gets the bias log u, a gate that
    replaces it -log u: forget and input gate of an LSTM, update gate of a GRU. Other cells stay as they are.

    Args:
        module: any module that holds cells.
        max_time: the longest time to remember, in steps.

    Returns:
        ``module``.

    Raises:
        ValueError: ``max_time`` is less than 2, or ``module`` has no cell with such a gate.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> i, f, _, _ = chrono(LSTMCell(3, 2), max_time=100).bias.chunk(4)
        >>> torch.equal(i, -f)
        True
    """
    if not max_time >= 2:
        raise ValueError(f"max_time must be at least 2 steps, got {max_time}")
    found = False
    for cell in _cells(module):
        gates = [gate for gate in cell.gates if _has_bias(cell, gate)]
        found = found or bool(gates)
        if gates:
            log_time = torch.empty_like(_gate_bias(cell, gates[0])).uniform_(1, max_time - 1).log_()
        for gate in gates:
            _gate_bias(cell, gate).copy_(cell.retention[gate] * log_time)
    if not found:
        raise ValueError(f"chrono needs a cell with a gate that keeps or replaces its state, got {_names(module)}")
    return module


def _cells(module: nn.Module) -> Iterator[Cell[Any]]:
    """Yield every cell in ``module`` that is not a wrapper."""
    cells = [part for part in module.modules() if isinstance(part, Cell) and not isinstance(part, Wrapper)]
    if not cells:
        raise ValueError(f"module must hold a recurrent cell, got {type(module).__name__} without one")
    yield from cells


def _has_bias(cell: Cell[Any], gate: str) -> bool:
    """Return whether ``gate`` of ``cell`` decides what its state keeps and has a bias."""
    return gate in cell.gates and gate in cell.retention and isinstance(getattr(cell, "bias", None), Tensor)


def _gate_bias(cell: Cell[Any], gate: str) -> Tensor:
    """Return the rows of ``cell.bias`` that belong to ``gate``, a view."""
    bias = cell.bias
    assert isinstance(bias, Tensor)
    return bias.detach().chunk(len(cell.gates))[cell.gates.index(gate)]


def _names(module: nn.Module) -> str:
    return ", ".join(sorted({type(cell).__name__ for cell in _cells(module)}))
