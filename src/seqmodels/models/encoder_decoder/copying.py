"""Copying words from the source: a mixture of writing a token of the vocabulary and pointing at one of the source."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Copies(NamedTuple):
    """The tokens of sources as tokens of the target, which is what copying them writes.

    Those that are not in the vocabulary of the target have the ids above it, numbered in each source by itself.
    """

    ids: Tensor  # (batch, source)  0 to vocab + extra - 1; any of these past a length
    extra: int  # how many ids above the vocabulary there are, the most that a source of the batch needs


class CopyMemory(NamedTuple):
    """:class:`Copies` as a part of a decoder's state."""

    ids: Tensor  # (batch, source)
    room: Tensor  # (batch, extra)  zeros


class Pointer(nn.Module):
    r"""The pointer-generator network of See, Liu and Manning (2017, arXiv 1704.04368).

    .. math::

        p_t &= \sigma(w_c^\top c_t + w_s^\top s_t + w_x^\top x_t + b)                                      \\
        P_t(w) &= p_t \, \mathrm{softmax}(a_t)_w + (1 - p_t) \sum_{i: \, \mathrm{source}_i = w} \alpha_{ti}

    Args:
        size: features of context, output and input together.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gate = nn.Linear(size, 1)

    def forward(self, logits: Tensor, read: tuple[Tensor, ...], weights: Tensor, copies: CopyMemory) -> Tensor:
        """Return log-probabilities ``(batch, steps, vocab + extra)``.

        A token that can neither be written nor copied has the log of the smallest normal number, not minus infinity.

        Args:
            logits: ``(batch, steps, vocab)``.
            read: context, output and input, each ``(batch, steps, ...)``.
            weights: of attention, ``(batch, steps, source)``.
            copies: what each step of the source is.
        """
        wide = torch.promote_types(logits.dtype, torch.float32)  # where autocast gives shorter ones
        write = self.gate(torch.cat(read, -1)).to(wide).sigmoid()  # (batch, steps, 1)
        steps = logits.shape[1]
        room = copies.room[:, None].expand(-1, steps, -1).to(wide)
        written = torch.cat([write * logits.softmax(-1, dtype=wide), room], -1)
        ids = copies.ids[:, None].expand(-1, steps, -1)
        probabilities = written.scatter_add(-1, ids, (1 - write) * weights.to(wide))
        return probabilities.clamp(min=torch.finfo(wide).tiny).log()
