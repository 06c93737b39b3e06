"""Is a cell's ``project`` one linear map and nothing else? Then inference may multiply a few steps at a time."""

from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from seqmodels.cells.base import Cell
from seqmodels.fusion.guards import Inspection, inspect
from seqmodels.fusion.tracing.aside import aside
from seqmodels.fusion.tracing.trace import replica


class _Calls(TorchFunctionMode):
    """Notes every call of a torch function."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs, made))
        return made


def linear_in(cell: Cell[Any], inspection: Inspection, x: Tensor) -> tuple[int, int | None] | None:
    """Return which of the cell's tensors are weight and bias of its ``project``, None where that is something else.

    It is asked of a copy of the cell, on tensors without memory; whatever is raised there means no.
    """
    try:
        return aside(_found, cell, inspection, x)
    except Exception:
        return None


def _found(cell: Cell[Any], inspection: Inspection, x: Tensor) -> tuple[int, int | None] | None:
    with FakeTensorMode(), torch.no_grad():
        tensors = [torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in inspection.tensors]
        like = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        own = replica(cell, inspection, tensors)
        before = inspect(own).digest
        with _Calls() as mode:
            wx = own.project(like)
        if len(mode.calls) != 1 or inspect(own).digest != before:
            return None
    func, args, kwargs, made = mode.calls[0]
    if func is not F.linear or kwargs or wx is not made or args[0] is not like:
        return None
    places = [next((i for i, t in enumerate(tensors) if t is one), None) for one in args[1:] if one is not None]
    if not places or places[0] is None or (len(places) > 1 and places[1] is None):
        return None
    return places[0], places[1] if len(places) > 1 else None
