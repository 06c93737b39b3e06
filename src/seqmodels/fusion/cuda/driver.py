"""Loading machine code and launching it, by the CUDA driver alone, through ctypes."""

import ctypes
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_int, c_size_t, c_uint, c_void_p
from functools import lru_cache
from typing import Any

import torch

from seqmodels.fusion.cuda.nvrtc import Image
from seqmodels.fusion.kernels.build_failed import BuildFailed

LIBRARY = "libcuda.so.1"
MOST_SHARED = 8
"""``CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES``."""


class DriverError(RuntimeError):
    """A call of the CUDA driver failed; the message has its name and the driver's words."""


class Kernel:
    """A kernel on one GPU.

    It is never unloaded: a CUDA graph may hold it, or a stream may still run it.

    Args:
        image: machine code for the architecture of the GPU.
        name: the function; its one argument is a struct of words of 8 bytes.
        threads: of a block.
        shared: bytes of shared memory of a block that are asked for at the launch.
        device: the number of the GPU.

    Attributes:
        resident: how many blocks a multiprocessor runs at once.
        spilled: bytes of a thread that found no register.

    Raises:
        BuildFailed: there is no driver, or it cannot load the code.
    """

    def __init__(self, image: Image, name: str, threads: int, shared: int, device: int) -> None:
        self.spilled = image.spilled
        self._sizes = tuple(c_uint(size) for size in (1, 1, threads, 1, 1, shared))
        self._device = device
        module, found = c_void_p(), c_int()
        self._function = c_void_p()
        try:
            with _current(device):
                _call("cuModuleLoadData", byref(module), image.code)
                _call("cuModuleGetFunction", byref(self._function), module, name.encode())
                _call("cuFuncSetAttribute", self._function, MOST_SHARED, c_int(shared))
                sizes = (c_int(threads), c_size_t(shared))
                _call("cuOccupancyMaxActiveBlocksPerMultiprocessor", byref(found), self._function, *sizes)
        except DriverError as error:
            raise BuildFailed(f"a kernel cannot be loaded on GPU {device}: {error}") from error
        self.resident = found.value

    def launch(self, blocks: int, words: "array[int]") -> None:
        """Run blocks on the current stream, all at once; the driver refuses more than fit.

        Args:
            blocks: how many.
            words: the fields of the argument, of type ``"q"``; they are copied before this returns.

        Raises:
            DriverError: the driver refused.
        """
        words_at = c_void_p(words.buffer_info()[0])
        stream = c_void_p(torch.cuda.current_stream(self._device).cuda_stream)
        arguments = (self._function, c_uint(blocks), *self._sizes, stream, byref(words_at))
        with _current(self._device):
            _call("cuLaunchCooperativeKernel", *arguments)


@contextmanager
def _current(device: int) -> Iterator[None]:
    """Make torch's context of a GPU the current one: autograd's threads have none before their first use of a GPU."""
    context, found = _context(device), c_void_p()
    _call("cuCtxGetCurrent", byref(found))
    if found.value == context.value:
        yield
        return
    _call("cuCtxPushCurrent_v2", context)
    try:
        yield
    finally:
        _call("cuCtxPopCurrent_v2", byref(c_void_p()))


@lru_cache(maxsize=64)
def _context(device: int) -> c_void_p:
    torch.cuda.init()
    number, context = c_int(), c_void_p()
    _call("cuDeviceGet", byref(number), c_int(device))
    _call("cuDevicePrimaryCtxRetain", byref(context), number)
    return context


@lru_cache(maxsize=1)
def _driver() -> Any:
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise BuildFailed(f"the CUDA driver cannot be loaded: {error}; install the driver of this GPU") from error


def _call(name: str, *arguments: Any) -> None:
    """Call a function of the driver.

    Raises:
        DriverError: it failed.
    """
    if status := getattr(_driver(), name)(*arguments):
        word, said = ctypes.c_char_p(), ctypes.c_char_p()
        _driver().cuGetErrorName(status, byref(word))
        _driver().cuGetErrorString(status, byref(said))
        parts = [(text.value or b"unknown").decode() for text in (word, said)]
        raise DriverError(f"{name.removesuffix('_v2')} failed: {parts[0]} ({status}), {parts[1]}")
