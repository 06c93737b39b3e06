"""Checks of the arguments of ``unroll``: once per sequence, and without synchronising with an accelerator."""

from typing import Any

import torch
from torch import Tensor

from seqmodels.cells.base import Cell
from seqmodels.sequence import leaves, length_mask, usable_lengths

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def checked_x(cell: Cell[Any], x: Tensor) -> None:
    """Raise unless ``x`` is ``(batch, time, input)``, not empty, in the dtype and on the device of the parameters."""
    if not isinstance(cell, Cell):
        raise TypeError(f"cell must be a Cell, got {type(cell).__name__}")
    if not isinstance(x, Tensor):
        raise TypeError(f"x must be a tensor, got {type(x).__name__}")
    if x.dim() != 3 or x.shape[-1] != cell.input_size:
        raise ValueError(f"x must have shape (batch, time, {cell.input_size}), got {tuple(x.shape)}")
    if x.shape[0] == 0 or x.shape[1] == 0:
        raise ValueError(f"x must hold at least one sequence and one step, got shape {tuple(x.shape)}")
    if not x.is_floating_point():
        raise TypeError(f"x must be floating point, got {x.dtype}")
    parameter = next(cell.parameters(), None)
    if parameter is None:
        return
    if parameter.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
        raise TypeError(f"x must have the dtype of the cell's parameters, {parameter.dtype}, got {x.dtype}")
    if parameter.device != x.device:
        raise ValueError(f"x must be on the device of the cell's parameters, {parameter.device}, got {x.device}")


def checked_lengths(lengths: Tensor | None, x: Tensor) -> Tensor | None:
    """Return ``lengths`` on the device of ``x``; None when every sequence is known to have full length."""
    if lengths is None:
        return None
    batch, time = x.shape[:2]
    if not isinstance(lengths, Tensor):
        raise TypeError(f"lengths must be a tensor of integers ({batch},), got {type(lengths).__name__}")
    if lengths.dtype not in _INTEGERS:
        raise TypeError(f"lengths must be integers, got {lengths.dtype}")
    if tuple(lengths.shape) != (batch,):
        raise ValueError(f"lengths must have shape ({batch},), one for each sequence of x, got {tuple(lengths.shape)}")
    known = lengths.device.type == "cpu" and not torch.compiler.is_compiling()
    full = known and int(lengths.min()) == time
    lengths = usable_lengths(lengths, x)
    return None if full else lengths


def checked_resets(resets: Tensor | None, x: Tensor) -> Tensor | None:
    """Return ``resets``, or raise unless they are bool ``(batch, time)`` on the device of ``x``."""
    if resets is None:
        return None
    batch, time = x.shape[:2]
    if not isinstance(resets, Tensor):
        raise TypeError(f"resets must be a bool tensor ({batch}, {time}), got {type(resets).__name__}")
    if resets.dtype != torch.bool:
        raise TypeError(f"resets must be bool, true where a row starts again, got {resets.dtype}; convert with .bool()")
    if tuple(resets.shape) != (batch, time):
        raise ValueError(
            f"resets must have shape ({batch}, {time}), a flag for each step of x, got {tuple(resets.shape)}"
        )
    if resets.device != x.device:
        raise ValueError(f"resets must be on the device of x, {x.device}, got {resets.device}")
    return resets


def resets_within(resets: Tensor, lengths: Tensor | None, *, from_initial: bool) -> Tensor | None:
    """Return ``resets (batch, time)`` without those that have no effect; None when none is known to be left.

    Without effect are flags past a length and, where all rows start ``from_initial``, the initial state, in a first
    step: each row may be one episode whose first step is flagged.
    """
    if from_initial:
        resets = torch.cat([torch.zeros_like(resets[:, :1]), resets[:, 1:]], dim=1)
    if lengths is not None:
        resets = resets & length_mask(lengths, resets.shape[1])
    if resets.device.type != "cpu" or torch.compiler.is_compiling():
        return resets
    return resets if bool(resets.any()) else None


def checked_state(cell: Cell[Any], x: Tensor, state: Any) -> tuple[Any, Any]:
    """Return ``state``, by default the cell's initial state, and that one; raise unless both have one structure."""
    initial = cell.initial_state(x[:, 0])
    if state is None:
        return initial, initial
    if type(state) is not type(initial):
        fields = ", ".join(getattr(initial, "_fields", ()))
        raise TypeError(f"state must be a {type(initial).__name__}({fields}), got {type(state).__name__}")
    names = _names(initial)
    if _names(state) != names:
        raise TypeError(f"state must hold {', '.join(names)}, got {', '.join(_names(state))}")
    for name, leaf, model in zip(names, leaves(state), leaves(initial), strict=True):
        if not isinstance(leaf, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(leaf).__name__}")
        if leaf.shape != model.shape:
            raise ValueError(f"{name} must have shape {tuple(model.shape)} for this x, got {tuple(leaf.shape)}")
        if leaf.dtype != model.dtype and not torch.is_autocast_enabled(x.device.type):
            raise TypeError(f"{name} must have the dtype of x, {model.dtype}, got {leaf.dtype}")
        if leaf.device != model.device:
            raise ValueError(f"{name} must be on the device of x, {model.device}, got {leaf.device}")
    return state, initial


def _names(state: Any, prefix: str = "state") -> list[str]:
    """Return the dotted name of every leaf of ``state``, in the order of ``leaves``."""
    if not isinstance(state, tuple):
        return [prefix]
    fields = getattr(state, "_fields", range(len(state)))
    return [name for field, part in zip(fields, state, strict=True) for name in _names(part, f"{prefix}.{field}")]
