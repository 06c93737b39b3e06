"""Which line of the user's code a traced operator comes from, so that a refusal can point at it."""

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
"""Files whose frames are not the user's: torch, threads, this package's own machinery, generated code."""


LAYOUT = {"stride", "is_contiguous", "data_ptr", "storage_offset", "untyped_storage", "storage", "as_strided"}
"""What reveals the memory layout of a tensor, which is the kernel's own choice."""
CONVERSIONS = {"to", "float", "double", "half", "bfloat16", "type", "type_as"}
SIZES = {"shape", "size", "__len__", "numel", "nelement"}
MANY = 100_000
"""A size that only the traced batch reaches."""
SPLITTING = {"__iter__", "unbind", "split", "chunk", "tensor_split", "split_with_sizes", "vsplit"}
"""What could split the batch into its rows, of which a trace has a hundred thousand."""
_TRACING = tuple(str(Path(torch.__file__).parent / name) for name in ("_", "fx"))


@contextmanager
def noted() -> Iterator[None]:
    """During a trace, record on every node the line that called the operator.

    torch's own record keeps only frames of functions named ``forward``, which a step is not.
    """
    with traceback.preserve_node_meta(), LineRecorder():
        yield


class LineRecorder(TorchFunctionMode):
    """Records the line of each call; refuses calls that read the layout of a tensor and those that change its dtype.

    Attributes:
        reads_requires_grad: whether a call read if a tensor requires a gradient.
        reads_size: whether a call read the size of a tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads_requires_grad = self.reads_size = False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        frame = caller = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(MACHINERY):
            frame = frame.f_back  # type: ignore[assignment]
        traceback.set_stack_trace([] if frame is None else [_line(frame.f_code, frame.f_lineno)])
        name = getattr(function, "__name__", "")
        if name == "__get__":
            name = getattr(function.__self__, "__name__", "")
            self.reads_requires_grad |= name in ("requires_grad", "grad_fn", "is_leaf")
        if name in SIZES:
            self.reads_size |= not caller.f_code.co_filename.startswith(_TRACING)
        elif name in SPLITTING and _along_first(name, args, kwargs or {}):
            raise Refused("an operator along the batch: a row may not see the others")
        elif name in LAYOUT and frame is caller:
            raise Refused(f"the step asks how a tensor lies in memory ({name}), which a kernel decides for itself")
        result = function(*args, **(kwargs or {}))
        if name in CONVERSIONS and isinstance(result, Tensor) and result.is_floating_point():
            given, new = args[0].dtype, result.dtype
            if given.is_floating_point and given != new and any(size >= MANY for size in result.shape):
                raise Refused(f"the step converts numbers from {given} to {new}: a program computes in one type")
        return result


def _along_first(name: str, args: Any, kwargs: Any) -> bool:
    """Return whether a call splits a tensor along the batch."""
    place = 1 if name == "unbind" else 2
    dim = kwargs.get("dim", args[place] if len(args) > place else 0)
    one = args[0]
    return isinstance(one, Tensor) and one.dim() > 0 and one.shape[0] >= MANY and dim in (0, -one.dim())


def where(node: fx.Node) -> str:
    """Return the line that a traced node comes from, if the trace knows it."""
    return node.meta.get("stack_trace") or f"in the node {node.name} of the traced step"


def where_raised(error: BaseException) -> str:
    """Return the innermost line of the user's code that an error passed through, or an empty text."""
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
    """Return an error with the line that a node comes from."""
    return error if "\n" in str(error) else Refused(f"{error}\n{where(node)}")
