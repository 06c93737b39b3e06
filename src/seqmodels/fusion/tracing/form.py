"""What of its inputs a trace depends on, and the fake tensors that stand for them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.errors import Refused
from seqmodels.sequence import Fixed

BATCH = 104729
"""The size of the batch in a trace, whose tensors have no memory: a prime that no feature size will equal."""
OTHER_BATCH = 720720
"""A second size, divisible by every number up to 16: what differs between the two depends on the batch."""


class Leaf(NamedTuple):
    """What a step may read of an input, apart from its numbers."""

    shape: tuple[int, ...]  # without batch and time
    dtype: torch.dtype
    device: torch.device
    requires_grad: bool

    @classmethod
    def of(cls, tensor: Tensor, leading: int) -> "Leaf":
        return cls(tuple(tensor.shape[leading:]), tensor.dtype, tensor.device, tensor.requires_grad)

    def fake(self, batch: int, strides: tuple[int, ...] | None = None) -> Tensor:
        """Return a fake tensor for a batch, contiguous or with given strides."""
        if strides is None:
            return torch.empty((batch, *self.shape), dtype=self.dtype, device=self.device)
        return torch.empty_strided((batch, *self.shape), strides, dtype=self.dtype, device=self.device)


class Form(NamedTuple):
    """Everything that a trace depends on about the input and the state of a step."""

    wx: Any  # the tree, with a Leaf for each tensor
    state: Any
    grad: bool  # whether gradients are recorded
    dtype: torch.dtype  # torch's default
    device: torch.device  # torch's default

    @classmethod
    def of(cls, wx: Any, state: Any) -> "Form":
        """Return the form of a projected sequence, leaves ``(batch, time, ...)``, and a state ``(batch, ...)``."""
        defaults = torch.get_default_dtype(), torch.get_default_device()
        return cls(_shaped(wx, 2), _shaped(state, 1), torch.is_grad_enabled(), *defaults)


def _shaped(tree: Any, leading: int) -> Any:
    if isinstance(tree, Tensor):
        return Leaf.of(tree, leading)
    if isinstance(tree, Fixed):
        return Fixed(Leaf.of(tree.value, 0))  # type: ignore[arg-type]
    if isinstance(tree, tuple):
        return (type(tree), *(_shaped(branch, leading) for branch in tree))
    raise Refused(f"a {type(tree).__name__} among the tensors of the state or of what project returns")


def fixed(tree: Any) -> Iterator[Tensor]:
    """Yield the values of a tree that are the same at every step."""
    if isinstance(tree, Fixed):
        yield tree.value
    elif isinstance(tree, tuple):
        for branch in tree:
            yield from fixed(branch)


def fill(tree: Any, streams: Iterator[Tensor], values: Iterator[Tensor]) -> Any:
    """Return a tree like ``tree`` with other leaves and other fixed values."""
    if isinstance(tree, Fixed):
        return Fixed(next(values))
    if not isinstance(tree, tuple):
        return next(streams)
    branches = [fill(branch, streams, values) for branch in tree]
    return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)
