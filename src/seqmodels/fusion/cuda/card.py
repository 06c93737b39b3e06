"""A GPU as programs are cut for it and compiled for it."""

from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch

from seqmodels.fusion.cuda import driver
from seqmodels.fusion.cuda.nvrtc import compiled
from seqmodels.fusion.cuda.prelude import NAME, prelude
from seqmodels.fusion.kernels.build_failed import BuildFailed

OLDEST = (8, 0)
"""The compute capability from which on a GPU multiplies bf16 and TF32."""


class Kernel(Protocol):
    """A kernel that is ready to run.

    Attributes:
        resident: how many of its blocks a multiprocessor runs at once.
        spilled: bytes of a thread that found no register.
    """

    resident: int
    spilled: int

    def launch(self, blocks: int, words: "array[int]") -> None:
        """Run blocks, all at once, with an argument of 8 bytes for each field of ``struct Args``."""
        ...


class Card(Protocol):
    """What a program is cut for, and what compiles it.

    Attributes:
        name: for messages.
        multiprocessors: how many it has.
        shared_bytes: most shared memory that a block can have.
    """

    @property
    def name(self) -> str: ...
    @property
    def multiprocessors(self) -> int: ...
    @property
    def shared_bytes(self) -> int: ...

    def load(self, text: str, dtype: torch.dtype, threads: int, shared_bytes: int) -> Kernel:
        """Compile what follows the prelude of a dtype, or take it from the cache; any thread may call this.

        Raises:
            BuildFailed: it cannot be compiled or loaded.
        """
        ...


@dataclass(frozen=True)
class Gpu:
    """A GPU of this machine; see :class:`Card`.

    Attributes:
        device: its number.
        arch: what NVRTC calls its architecture.
    """

    device: int
    arch: str
    name: str
    multiprocessors: int
    shared_bytes: int

    def load(self, text: str, dtype: torch.dtype, threads: int, shared_bytes: int) -> Kernel:
        return driver.Kernel(compiled(prelude(dtype) + text, self.arch), NAME, threads, shared_bytes, self.device)


@lru_cache(maxsize=64)
def card_of(device: torch.device) -> Card:
    """Return the GPU of a device.

    Raises:
        BuildFailed: it is too old.
    """
    index = torch.cuda.current_device() if device.index is None else device.index
    facts = torch.cuda.get_device_properties(index)
    if (facts.major, facts.minor) < OLDEST:
        has, needs = f"{facts.major}.{facts.minor}", ".".join(map(str, OLDEST))
        raise BuildFailed(f"{facts.name} has compute capability {has}; kernels in CUDA C++ need {needs}")
    arch = f"sm_{facts.major}{facts.minor}"
    shared_bytes = facts.shared_memory_per_block_optin  # type: ignore[attr-defined]  # torch's stub lacks it
    return Gpu(index, arch, facts.name, facts.multi_processor_count, shared_bytes)
