"""Which executor runs programs, by device and dtype."""

import logging
from functools import cache
from typing import Any

import torch

from seqmodels.fusion.cpp.build import reason
from seqmodels.fusion.cpp.executor import REALS, Cpp
from seqmodels.fusion.cuda import nvrtc
from seqmodels.fusion.cuda.card import card_of
from seqmodels.fusion.cuda.executor import Cuda, is_for
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.plan import Plan, Recognised
from seqmodels.fusion.portable.executor import Portable

log = logging.getLogger("seqmodels")
_portable, _cpp, _cuda = Portable(), Cpp(), Cuda()


def executor_for(device: torch.device, dtype: torch.dtype) -> Executor:
    """Return what runs programs for this device and dtype: compiled C++, CUDA kernels or torch operators."""
    if device.type == "cuda" and is_for(dtype):
        return _cuda
    if device.type != "cpu" or dtype not in REALS:
        return _portable
    return _cpp if (why := reason()) is None else portable_instead(why)


def has_cpp_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether programs can be compiled as C++ kernels for a device and dtype."""
    return device.type == "cpu" and dtype in REALS and reason() is None


def has_cuda_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether programs can be compiled as CUDA kernels for a device and dtype."""
    if device.type != "cuda" or not is_for(dtype) or nvrtc.reason() is not None:
        return False
    try:
        return bool(card_of(device))
    except BuildFailed:
        return False


def checked_on(
    known: Recognised, plan: Plan, wx: Any, state: Any, *, first: Executor, dtype: torch.dtype
) -> tuple[Executor, torch.dtype]:
    """Return on what and in which dtype a plan's programs may run: on ``first``, or where that cannot build them.

    Raises:
        Refused: they differ from the step; the message says by how much.
    """
    try:
        known.check(plan, first, wx, state, dtype)
    except BuildFailed as error:
        first, dtype = portable_instead(error), plan.step.dtype
        known.check(plan, first, wx, state, dtype)
    return first, dtype


def portable_instead(why: object) -> Executor:
    """Return what runs programs where a kernel cannot be built, and log why."""
    _warn(str(why))
    return _portable


@cache
def _warn(why: str) -> None:
    log.warning("fused kernels run as torch operators, not compiled: %s", why)
