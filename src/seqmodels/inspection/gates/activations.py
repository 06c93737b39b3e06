"""The value of each named gate of a cell, found by running its step: no cell has to report them."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from seqmodels.cells.base import Cell
from seqmodels.sequence import leaves, map_leaves

Range = tuple[float, float] | None

RANGES: dict[str, Range] = {
    **dict.fromkeys(("sigmoid", "hardsigmoid", "log_sigmoid_forward", "_softmax"), (0.0, 1.0)),
    **dict.fromkeys(("tanh", "hardtanh"), (-1.0, 1.0)),
    **dict.fromkeys(("relu", "leaky_relu", "elu", "softplus", "gelu", "silu", "exp", "clamp", "clamp_min"), None),
}
"""Operators that count as the activation of a gate, with the range of their values; None: unbounded."""

ROWS = 3  # rows on which activations are searched
SHIFT = 0.125  # of a bias; a power of two


class Activation(NamedTuple):
    """Where a step computes the value of a gate."""

    operator: str  # name of the operator, such as "sigmoid"
    call: int  # its number among the activations of a step
    columns: Tensor  # (units,) of its result

    @property
    def range(self) -> Range:
        """Least and greatest value; None if unbounded."""
        return RANGES[self.operator]


class GateValues(NamedTuple):
    """The gates of a cell for many steps at once."""

    values: dict[str, Tensor]  # by gate, (steps, units)
    ranges: dict[str, Range]
    refused: dict[str, str]  # gates without a value, with the reason


class _Recorder(TorchDispatchMode):
    """Keeps the input and the result of every activation."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__.removesuffix("_")
        given = args[0].detach().clone() if name in RANGES and isinstance(args[0], Tensor) else None
        result = func(*args, **(kwargs or {}))
        if given is not None and given.is_floating_point():
            value = result[0] if isinstance(result, tuple) else result
            self.calls.append((name, given, value.exp() if name.startswith("log_") else value.clone()))
        return result


def gate_values(cell: Cell[Any], x: Tensor, state: Any) -> GateValues:
    """Return the gates that a cell computes from inputs and the states before them.

    The step runs once on all rows, and the output of each activation is recorded. Which activation is a gate's is found
    by perturbation: its rows of ``bias`` (or ``weight_ih``) are shifted, and its activation is the first one whose
    input moves by exactly that much. So this works for any cell, a user's own too, whose parameter rows are
    ordered as :attr:`~seqmodels.cells.Cell.gates`, whatever its code looks like. A gate is refused if nothing is
    applied to it (the candidate of ``MinGRUCell``, an identity activation), if its shift does not arrive unchanged
    (a layer normalisation over ``W x + U h + b``), or if its activation is not a function of torch such as
    ``sigmoid``, ``tanh`` or ``relu``.

    Args:
        cell: in evaluation mode, since a mask of dropout would differ from run to run.
        x: inputs ``(steps, input)``, of any sequences.
        state: the state before each of them, leaves ``(steps, ...)``.

    Returns:
        Values ``(steps, units)`` by gate, their ranges, and the reasons for gates that have none.

    Raises:
        ValueError: the cell is in training mode.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> cell = GRUCell(4, 5).eval()
        >>> found = gate_values(cell, torch.zeros(7, 4), cell.initial_state(torch.zeros(7, 4)))
        >>> {gate: tuple(values.shape) for gate, values in found.values.items()}
        {'z': (7, 5), 'r': (7, 5), 'n': (7, 5)}
    """
    if cell.training:
        raise ValueError("the cell must be in evaluation mode: call eval() first")
    with torch.no_grad():
        places, refused = _places(cell, x, state)
        calls = _run(cell, x, state)
    values = {gate: calls[place.call][2][:, place.columns.to(x.device)] for gate, place in places.items()}
    return GateValues(values, {gate: place.range for gate, place in places.items()}, refused)


def _run(cell: Cell[Any], x: Tensor, state: Any) -> list[tuple[str, Tensor, Tensor]]:
    with _Recorder() as recorder:
        cell.effective().step(cell.effective().project(x), state)
    return recorder.calls


def _places(cell: Cell[Any], x: Tensor, state: Any) -> tuple[dict[str, Activation], dict[str, str]]:
    """Return where each gate is computed, and why not for the others."""
    trial = deepcopy(cell).double()
    x, state = x[:ROWS].double(), map_leaves(_few_doubles, state)
    if not bool(x.any()):
        x = torch.ones_like(x)  # a shift of weights must have an effect
    found: dict[str, Activation] = {}
    parameter, reason = _gate_rows(trial)
    if parameter is None:
        return found, dict.fromkeys(cell.gates, reason)
    usual, refused = _run(trial, x, state), dict[str, str]()
    for gate, rows in zip(cell.gates, parameter.chunk(len(cell.gates)), strict=True):
        before = rows.clone()
        rows.add_(SHIFT)
        shifted = _run(trial, x, state)
        rows.copy_(before)
        move = torch.full_like(x[:, :1], SHIFT) if parameter.dim() == 1 else SHIFT * x.sum(1, keepdim=True)
        place = _first_moved(usual, shifted, move, len(rows))
        if place is None:
            refused[gate] = (
                f"no activation takes exactly its rows: {', '.join(sorted({name for name, *_ in usual})) or 'none'} "
                "are computed in this step"
            )
        else:
            found[gate] = place
    return found, refused


def _few_doubles(leaf: Tensor) -> Tensor:
    leaf = leaf[:ROWS]
    return leaf.double() if leaf.is_floating_point() else leaf


def _first_moved(
    usual: Sequence[tuple[str, Tensor, Tensor]],
    shifted: Sequence[tuple[str, Tensor, Tensor]],
    move: Tensor,
    units: int,
) -> Activation | None:
    """Return the first activation of which as many columns as a gate has units moved by ``move (rows, 1)``."""
    for call, ((name, before, _), (_, after, _)) in enumerate(zip(usual, shifted, strict=True)):
        if before.dim() != 2 or before.shape != after.shape:
            continue
        exact = torch.isclose(after - before, move.expand_as(before), rtol=1e-6, atol=1e-9).all(0)
        if int(exact.sum()) == units:
            return Activation(name, call, exact.nonzero()[:, 0])
    return None


def _gate_rows(cell: Cell[Any]) -> tuple[Tensor | None, str]:
    """Return the parameter of the innermost cell whose rows are the gates, or why there is none."""
    if not cell.gates:
        return None, f"{type(cell).__name__} names no gates"
    core = [module for module in cell.modules() if isinstance(module, Cell)][-1]
    for name in ("bias", "weight_ih"):
        parameter = getattr(core, name, None)
        if isinstance(parameter, Tensor) and len(parameter) % len(cell.gates) == 0:
            return parameter.data, ""
    return None, f"{type(core).__name__} has no bias or weight_ih whose rows are those of its gates"


def flat_steps(x: Tensor, states: Sequence[Any]) -> tuple[Tensor, Any]:
    """Return inputs ``(batch, time, input)`` and the state before each step, as rows ``(batch * time, ...)``."""
    stacked = _stacked(states)
    return x.flatten(0, 1), map_leaves(lambda leaf: leaf.flatten(0, 1), stacked)


def named_states(states: Sequence[Any]) -> dict[str, Tensor]:
    """Return the parts of states by name, each ``(batch, time, ...)``; nested ones as ``outer.inner``."""
    return dict(_named(_stacked(states)))


def _stacked(states: Sequence[Any]) -> Any:
    return map_leaves(lambda *parts: torch.stack(parts, 1), *states)


def _named(tree: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    names = getattr(tree, "_fields", None) or [str(number) for number in range(len(tree))]
    for name, part in zip(names, tree, strict=True):
        if isinstance(part, Tensor):
            yield f"{prefix}{name}", part
        elif leaves(part):
            yield from _named(part, f"{prefix}{name}.")
