"""A GPU as kernels see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch


class Kernel(Protocol):
    """A kernel that is ready to run.

    Attributes:
        resident: how many of its blocks a multiprocessor runs at once.
        spilled: bytes of a thread that did not fit its registers.
    """

    resident: int
    spilled: int

    def launch(self, blocks: int, words: Sequence[int]) -> None:
        """Run blocks, all at once, with an argument of 8 bytes for each field of ``struct Args``."""
        ...


class Card(Protocol):
    """What a program is cut for, and what compiles it.

    Attributes:
        name: for messages.
        multiprocessors: how many it has.
        shared_bytes: most shared memory that a block can have.
    """

    name: str
    multiprocessors: int
    shared_bytes: int

    def load(self, text: str, dtype: torch.dtype, threads: int, shared_bytes: int) -> Kernel:
        """Compile what follows the prelude of a dtype, or take it from the cache.

        Raises:
            BuildFailed: it cannot be compiled.
        """
        ...


def card_of(device: torch.device) -> Card:
    raise NotImplementedError
