"""The number of CPU threads of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from seqmodels.errors import ConfigError

SMALL = 2**23
"""Multiplications per step of a batch below which a second thread costs more than it gains."""


def threads_for(requested: Any, model: nn.Module, batch_size: int) -> int:
    """Return the number of threads to use: ``requested``, or for None one for a small network, else torch's default.

    The matrix products of a small network take microseconds. Splitting them gains little on an idle machine, and on a
    busy one each of them waits for the scheduler.

    Raises:
        ConfigError: ``requested`` is not a positive whole number.
    """
    if requested is None:
        products = batch_size * sum(parameter.numel() for parameter in model.parameters())
        return 1 if products < SMALL else torch.get_num_threads()
    if not isinstance(requested, int) or isinstance(requested, bool) or requested < 1:
        raise ConfigError(f"threads must be a positive whole number, or null for a choice by size, got {requested!r}")
    return requested


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Set the number of CPU threads within a block, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
