"""Finding what would make the host wait for an accelerator, on a machine that has none.

Tensors on the device ``meta`` have shapes and no numbers. They stand for those of an accelerator: whatever needs a
number of theirs on the host raises.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("meta")


class HostWaitsError(AssertionError):
    """The host would wait for the device, as for a number that it reads from there, or for a copy to it."""


class _Operators(TorchDispatchMode):
    """Raises at operators that wait."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        if func.namespace == "aten" and func.overloadpacket in (torch.ops.aten.index_put, torch.ops.aten.index_put_):
            _check(not any(i is not None and i.dtype == torch.bool for i in args[1]), f"{func} with a mask")
        try:
            result = func(*args, **(kwargs or {}))
        except (RuntimeError, NotImplementedError) as error:  # it needs numbers of a tensor that has none
            raise HostWaitsError(f"{func}: {error}") from error
        if func.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_):
            given = [one.device for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
            _check({*given, result.device} != {torch.device("cpu"), DEVICE}, f"{func} from the CPU")
        return result


class _Functions(TorchFunctionMode):
    """Raises where numbers of Python are copied to the device, which happens below all operators."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        result = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            _check(result.device != DEVICE, f"{func.__name__} of numbers of Python")
        if func in (Tensor.__getitem__, Tensor.__setitem__) and args[0].device == DEVICE:
            parts = args[1] if isinstance(args[1], tuple) else (args[1],)
            _check(not any(isinstance(part, list) for part in parts), "an index that is a list")
        return result


@contextmanager
def without_waiting() -> Iterator[None]:
    """Raise :class:`HostWaitsError` at anything that would make the host wait for :data:`DEVICE`."""
    with _Functions(), _Operators():
        yield


def waits(call: Callable[[], object]) -> bool:
    """Return whether a call would make the host wait."""
    try:
        with without_waiting():
            call()
    except HostWaitsError:
        return True
    return False


def _check(fine: bool, what: str) -> None:
    if not fine:
        raise HostWaitsError(what)
