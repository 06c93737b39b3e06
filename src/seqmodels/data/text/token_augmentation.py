"""Token augmentations: they change the inputs of a training batch, using only the given generator."""

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.collate import PADDING
from seqmodels.sequence import length_mask


class TokenAugmentation(ABC):
    """Changes the tokens of a batch with probability ``rate``.

    Batches with stepwise targets are rejected, since the targets would no longer be aligned with the tokens.
    """

    def __init__(self, *, rate: float = 0.1) -> None:
        if not 0 < rate < 1:
            raise ValueError(f"rate must lie in (0, 1), got {rate}")
        self.rate = rate

    def __call__(self, batch: SequenceBatch, generator: Generator) -> SequenceBatch:
        """Return the batch with augmented inputs and matching lengths.

        Raises:
            ValueError: its inputs are not tokens, or its targets are stepwise.
        """
        if not isinstance(batch, SequenceBatch) or batch.inputs.is_floating_point():
            got = f"{batch.inputs.dtype}" if isinstance(batch, SequenceBatch) else type(batch).__name__
            raise ValueError(f"{type(self).__name__} changes tokens (batch, time), got {got}")
        if batch.stepwise:
            raise ValueError(
                f"{type(self).__name__} moves tokens, and cannot be used where each has a target of its own"
            )
        return self.change(batch, generator)

    @abstractmethod
    def change(self, batch: SequenceBatch, generator: Generator) -> SequenceBatch:
        """Return the batch with changed tokens."""


class TokenDrop(TokenAugmentation):
    """Drop each token with probability ``rate``, keeping at least one per text."""

    def change(self, batch: SequenceBatch, generator: Generator) -> SequenceBatch:
        tokens, lengths, _ = batch
        real = length_mask(lengths, tokens.shape[1])
        draws = torch.rand(tokens.shape, generator=generator).masked_fill(~real, -1)
        kept = (draws >= self.rate) | ((draws == draws.amax(1, keepdim=True)) & real)
        order = (~kept).long().argsort(dim=1, stable=True)  # kept tokens first, in order
        lengths = kept.sum(1)
        time = int(lengths.max())
        tokens = tokens.gather(1, order)[:, :time].masked_fill(~length_mask(lengths, time), PADDING)
        return batch._replace(inputs=tokens, lengths=lengths)


class TokenSwap(TokenAugmentation):
    """Swap neighbours: tokens are paired, starting at the first or second one, and pairs are swapped."""

    def change(self, batch: SequenceBatch, generator: Generator) -> SequenceBatch:
        tokens, lengths, _ = batch
        rows, time = tokens.shape
        steps = torch.arange(time)
        first = torch.randint(2, (rows, 1), generator=generator)
        left = (steps - first) % 2 == 0  # the left token of a pair
        draws = torch.rand(rows, time, generator=generator)
        swapped = left & (draws < self.rate) & (steps + 1 < lengths[:, None])
        order = steps + swapped.long() - _shifted(swapped).long()
        return batch._replace(inputs=tokens.gather(1, order))


def _shifted(flags: Tensor) -> Tensor:
    """Shift flags ``(rows, time)`` one step later."""
    return torch.cat([torch.zeros_like(flags[:, :1]), flags[:, :-1]], dim=1)
