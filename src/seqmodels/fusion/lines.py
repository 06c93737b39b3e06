"""Which line of a user's code a traced operator comes from, so that a refusal can point at it."""

import linecache
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch import fx
from torch.fx import traceback
from torch.overrides import TorchFunctionMode

from seqmodels.fusion.rows import Refused

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = (str(Path(torch.__file__).parent), str(Path(futures.__file__).parent), threading.__file__, "<frozen", "<eval", "<string>")
MACHINERY = (*_LIBRARIES, str(_PACKAGE / "fusion"), str(_PACKAGE / "unroll"), str(_PACKAGE / "cells" / "products.py"))
"""Files whose frames are not the user's: torch, threads, this package's tracing, generated code."""


LAYOUT = {"stride", "is_contiguous", "data_ptr", "storage_offset", "untyped_storage", "storage", "as_strided"}
"""What tells how a tensor lies in memory, which a kernel decides for itself."""


@contextmanager
def noted() -> Iterator[None]:
    """While a step is traced, note on every node the line that called the operator.

    torch's own record keeps the frames of functions called ``forward`` alone, and a step is not called so.
    """
    with traceback.preserve_node_meta(), Noting():
        yield


class Noting(TorchFunctionMode):
    """Notes the line of each call; refuses calls that ask how a tensor lies in memory.

    ``reads_wants`` says whether it was asked if a tensor wants a gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads_wants = False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        frame = caller = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(MACHINERY):
            frame = frame.f_back  # type: ignore[assignment]
        traceback.set_stack_trace([] if frame is None else [_line(frame.f_code, frame.f_lineno)])
        name = getattr(function, "__name__", "")
        if name == "__get__":
            self.reads_wants |= getattr(function.__self__, "__name__", "") in ("requires_grad", "grad_fn", "is_leaf")
        elif name in LAYOUT and frame is caller:
            raise Refused(f"the step asks how a tensor lies in memory ({name}), which a kernel decides for itself")
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
