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
from torch import Tensor, fx
from torch.fx import traceback
from torch.overrides import TorchFunctionMode

from seqmodels.errors import Refused

_PACKAGE = Path(__file__).parents[2]
_THREADS = (str(Path(futures.__file__).parent), threading.__file__)
_GENERATED = ("<frozen", "<eval", "<string>")
_LIBRARIES = (str(Path(torch.__file__).parent), *_THREADS, *_GENERATED)
MACHINERY = (*_LIBRARIES, str(_PACKAGE / "fusion"), str(_PACKAGE / "backends"), str(_PACKAGE / "cells" / "products.py"))
"""Files whose frames are not the user's: torch, threads, this package's tracing, generated code."""


LAYOUT = {"stride", "is_contiguous", "data_ptr", "storage_offset", "untyped_storage", "storage", "as_strided"}
"""What tells how a tensor lies in memory, which a kernel decides for itself."""
CONVERSIONS = {"to", "float", "double", "half", "bfloat16", "type", "type_as"}
SIZES = {"shape", "size", "__len__", "numel", "nelement"}
MANY = 100_000
"""Rows that only a traced batch has."""
PARTING = {"__iter__", "unbind", "split", "chunk", "tensor_split", "split_with_sizes", "vsplit"}
"""What would take the batch apart into its rows, of which a trace has a hundred thousand."""
_TRACING = tuple(str(Path(torch.__file__).parent / name) for name in ("_", "fx"))


@contextmanager
def noted() -> Iterator[None]:
    """While a step is traced, note on every node the line that called the operator.

    torch's own record keeps the frames of functions called ``forward`` alone, and a step is not called so.
    """
    with traceback.preserve_node_meta(), Noting():
        yield


class Noting(TorchFunctionMode):
    """Notes the line of each call; refuses those that ask how a tensor lies in memory and those that convert numbers.

    ``reads_wants`` says whether it was asked if a tensor wants a gradient, ``reads_size`` whether for its size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads_wants = self.reads_size = False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        frame = caller = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(MACHINERY):
            frame = frame.f_back  # type: ignore[assignment]
        traceback.set_stack_trace([] if frame is None else [_line(frame.f_code, frame.f_lineno)])
        name = getattr(function, "__name__", "")
        if name == "__get__":
            name = getattr(function.__self__, "__name__", "")
            self.reads_wants |= name in ("requires_grad", "grad_fn", "is_leaf")
        if name in SIZES:
            self.reads_size |= not caller.f_code.co_filename.startswith(_TRACING)
        elif name in PARTING and _along_first(name, args, kwargs or {}):
            raise Refused("an operator along the batch: a row may not see the others")
        elif name in LAYOUT and frame is caller:
            raise Refused(f"the step asks how a tensor lies in memory ({name}), which a kernel decides for itself")
        made = function(*args, **(kwargs or {}))
        if name in CONVERSIONS and isinstance(made, Tensor) and made.is_floating_point():
            given = args[0].dtype
            if given.is_floating_point and given != made.dtype and any(size >= MANY for size in made.shape):
                raise Refused(f"the step converts numbers from {given} to {made.dtype}: a program computes in one type")
        return made


def _along_first(name: str, args: Any, kwargs: Any) -> bool:
    """Say whether a call takes a tensor apart along the batch."""
    place = 1 if name == "unbind" else 2
    dim = kwargs.get("dim", args[place] if len(args) > place else 0)
    one = args[0]
    return isinstance(one, Tensor) and one.dim() > 0 and one.shape[0] >= MANY and dim in (0, -one.dim())


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


def at_line(node: fx.Node, error: Refused) -> Refused:
    """Return an error that names the line that a node comes from."""
    return error if "\n" in str(error) else Refused(f"{error}\n{where(node)}")
