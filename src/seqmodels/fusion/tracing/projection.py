"""Whether a cell's ``project`` is one linear map and nothing else, so that inference may project chunk by chunk."""

from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from seqmodels.cells.base import Cell
from seqmodels.fusion.guards import Inspection, inspect
from seqmodels.fusion.tracing.isolation import isolated
from seqmodels.fusion.tracing.trace import replica


class _Calls(TorchFunctionMode):
    """Records every call of a torch function."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs, result))
        return result


def linear_in(cell: Cell[Any], inspection: Inspection, x: Tensor) -> tuple[int, int | None] | None:
    """Return which of the cell's tensors are weight and bias of its ``project``; None if that is anything else.

    It is found by calling a copy of the cell on fake tensors. Code of the user's runs there, which may raise anything
    because the tensors are fake; an error of ``project`` itself is raised when it runs on the real ones.
    """
    try:
        return isolated(_found, cell, inspection, x)
    except Exception:  # not found: the general path runs project as it is
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
    func, args, kwargs, result = mode.calls[0]
    if func is not F.linear or kwargs or wx is not result or args[0] is not like:
        return None
    places = [next((i for i, t in enumerate(tensors) if t is one), None) for one in args[1:] if one is not None]
    if not places or places[0] is None or (len(places) > 1 and places[1] is None):
        return None
    return places[0], places[1] if len(places) > 1 else None
