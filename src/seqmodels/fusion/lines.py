"""Which line of a user's code a traced operator comes from, so that a refusal can point at it."""

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch import fx
from torch.fx import traceback
from torch.overrides import TorchFunctionMode

_PACKAGE = Path(__file__).parents[1]
_TORCH = (str(Path(torch.__file__).parent), "<")
MACHINERY = (*_TORCH, str(_PACKAGE / "fusion"), str(_PACKAGE / "unroll"), str(_PACKAGE / "cells" / "products.py"))
"""Files whose frames are not the user's: torch, this package's tracing, generated code."""


@contextmanager
def noted() -> Iterator[None]:
    """While a step is traced, note on every node the line that called the operator.

    torch's own record keeps the frames of functions called ``forward`` alone, and a step is not called so.
    """
    with traceback.preserve_node_meta(), _Noting():
        yield


class _Noting(TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(MACHINERY):
            frame = frame.f_back  # type: ignore[assignment]
        traceback.set_stack_trace([] if frame is None else [_line(frame.f_code, frame.f_lineno)])
        return function(*args, **(kwargs or {}))


def where(node: fx.Node) -> str:
    """Return the line that a traced node comes from, as far as the trace knows it."""
    return node.meta.get("stack_trace") or f"in the node {node.name} of the traced step"


def where_raised(error: BaseException) -> str:
    """Return the innermost line of the user's code that an error passed through, or nothing."""
    found, at = "", error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        if not code.co_filename.startswith(MACHINERY):
            found = _line(code, at.tb_lineno)
        at = at.tb_next
    return found


def _line(code: CodeType, number: int) -> str:
    text = linecache.getline(code.co_filename, number).strip()
    return f"in {code.co_name}, {code.co_filename}:{number}" + (f": {text}" if text else "")
