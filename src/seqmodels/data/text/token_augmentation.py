"""Augmentations of tokens: each changes the inputs of a training batch, and draws from the generator alone."""

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.collate import PADDING
from seqmodels.sequence import length_mask


class TokenAugmentation(ABC):
    """Changes the tokens of a batch with a probability of ``rate``.

    Where every step has a target of its own, it would no longer be in step with its token: such a batch is refused.
    """

    def __init__(self, *, rate: float = 0.1) -> None:
        if not 0 < rate < 1:
            raise ValueError(f"rate must lie in (0, 1), got {rate}")
        self.rate = rate

    def __call__(self, batch: SequenceBatch, generator: Generator) -> SequenceBatch:
        """Return the batch with other inputs, and lengths that fit them.

        Raises:
            ValueError: its inputs are no tokens, or there is a target for every step.
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
        """Return the batch with other tokens."""


class TokenDrop(TokenAugmentation):
    """Leave out each token with a probability of ``rate``; of every text one at least stays."""

    def change(self, batch: SequenceBatch, generator: Generator) -> SequenceBatch:
        tokens, lengths, _ = batch
        real = length_mask(lengths, tokens.shape[1])
        draws = torch.rand(tokens.shape, generator=generator).masked_fill(~real, -1)
        kept = (draws >= self.rate) | ((draws == draws.amax(1, keepdim=True)) & real)
        order = (~kept).long().argsort(dim=1, stable=True)  # those that stay first, in their order
        lengths = kept.sum(1)
        time = int(lengths.max())
        tokens = tokens.gather(1, order)[:, :time].masked_fill(~length_mask(lengths, time), PADDING)
        return batch._replace(inputs=tokens, lengths=lengths)


class TokenSwap(TokenAugmentation):
    """Swap neighbours: the tokens of each text are paired, from the first or the second on, and a pair swapped."""

    def change(self, batch: SequenceBatch, generator: Generator) -> SequenceBatch:
        tokens, lengths, _ = batch
        rows, time = tokens.shape
        steps = torch.arange(time)
        first = torch.randint(2, (rows, 1), generator=generator)
        left = (steps - first) % 2 == 0  # the left one of a pair
        draws = torch.rand(rows, time, generator=generator)
        swapped = left & (draws < self.rate) & (steps + 1 < lengths[:, None])
        order = steps + swapped.long() - _shifted(swapped).long()
        return batch._replace(inputs=tokens.gather(1, order))


def _shifted(flags: Tensor) -> Tensor:
    """Return flags ``(rows, time)`` one step later."""
    return torch.cat([torch.zeros_like(flags[:, :1]), flags[:, :-1]], dim=1)
