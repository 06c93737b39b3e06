"""How many CPU threads a run uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from seqmodels.errors import ConfigError

SMALL = 2**23
"""Multiplications of a step of a batch below which a second thread waits more than it works."""


def threads_for(asked: Any, model: nn.Module, batch_size: int) -> int:
    """Return how many threads to use: as many as ``asked``; for None one for a small network, else as torch would.

    The products of a small network take microseconds. Sharing them out gains little on a machine that does nothing
    else, and where other processes use its cores each of these products waits for the scheduler.

    Raises:
        ConfigError: ``asked`` is no positive whole number.
    """
    if asked is None:
        products = batch_size * sum(parameter.numel() for parameter in model.parameters())
        return 1 if products < SMALL else torch.get_num_threads()
    if not isinstance(asked, int) or isinstance(asked, bool) or asked < 1:
        raise ConfigError(f"threads must be a positive whole number, or null for a choice by size, got {asked!r}")
    return asked


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Compute with this many threads on the CPU, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
