"""Attention of a decoder to the steps of a source."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.cells.base import Device, DType, check_sizes
from seqmodels.sequence import length_mask, usable_lengths


class Memory(NamedTuple):
    """What attention reads of a source; :meth:`Attention.memory` computes it once per source, not per step."""

    values: Tensor  # (batch, source, value)  what an encoder returns for each step
    keys: Tensor  # (batch, source, key)  what queries are compared with
    real: Tensor  # (batch, source)  bool, false past the length of a source


class Attention(nn.Module, ABC):
    r"""Base of layers that sum up a source for a query: the mean of its values, weighted by how well keys fit.

    .. math::

        \alpha_{ti} &= \mathrm{softmax}_i \, e(q_t, v_i) \\
        c_t &= \sum_i \alpha_{ti} v_i

    Subclass it with a score ``e``: define :meth:`keys` and :meth:`scores`.

    Args:
        query_size: features of a query, such as the output of a decoder's recurrent layers.
        value_size: features of a step of the source, which are also those of the context.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> attention: Attention = GeneralAttention(5, 6)
        >>> memory = attention.memory(torch.zeros(3, 7, 6), torch.tensor([7, 2, 5]))
        >>> context, weights = attention(torch.zeros(3, 4, 5), memory)
        >>> context.shape, weights.shape
        (torch.Size([3, 4, 6]), torch.Size([3, 4, 7]))
        >>> weights[1, 0].detach()
        tensor([0.5000, 0.5000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000])
    """

    coverage: bool = False
    """Whether scores depend on the weights of the steps before, so that steps must be computed one after the other."""

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__()
        check_sizes(query_size=query_size, value_size=value_size)
        self.query_size = query_size
        self.value_size = value_size

    @abstractmethod
    def keys(self, values: Tensor) -> Tensor:
        """Map ``values (batch, source, value)`` to the keys ``(batch, source, key)``."""

    @abstractmethod
    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        """Return scores ``(batch, steps, source)``.

        Args:
            query: ``(batch, steps, query)``.
            keys: ``(batch, source, key)``.
            coverage: ``(batch, steps, source)``, the sum of the weights of all steps before each of these; given where
                :attr:`coverage` is true.
        """

    def memory(self, values: Tensor, lengths: Tensor | None = None) -> Memory:
        """Return a source as :meth:`forward` reads it.

        Args:
            values: ``(batch, source, value)``, finite past a length too.
            lengths: number of real steps of each source, ``(batch,)``; all steps by default.

        Raises:
            ValueError: ``values`` have the wrong shape, or a length on the CPU is outside [1, source].
        """
        if values.dim() != 3 or values.shape[2] != self.value_size:
            raise ValueError(f"values must have shape (batch, source, {self.value_size}), got {tuple(values.shape)}")
        if lengths is None:
            real = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        else:
            real = length_mask(usable_lengths(lengths, values), values.shape[1])
        return Memory(values, self.keys(values), real)

    def forward(self, query: Tensor, memory: Memory, coverage: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read a source, for several queries of each row.

        Args:
            query: ``(batch, steps, query)``.
            memory: the source, as :meth:`memory` returns it.
            coverage: ``(batch, steps, source)``, the sum of the weights of all steps before each of these; zeros by
                default.

        Returns:
            Contexts ``(batch, steps, value)``, and the weights ``(batch, steps, source)``: 0 past a length, summing to
            1 before it.

        Raises:
            ValueError: ``query`` has the wrong shape.
        """
        rows = len(memory.values)
        if query.dim() != 3 or query.shape[2] != self.query_size or len(query) != rows:
            raise ValueError(f"query must have shape ({rows}, steps, {self.query_size}), got {tuple(query.shape)}")
        if not self.coverage:
            coverage = None
        elif coverage is None:
            coverage = query.new_zeros(rows, query.shape[1], memory.values.shape[1])
        scores = self.scores(query, memory.keys, coverage)
        weights = scores.masked_fill(~memory.real[:, None], -torch.inf).softmax(-1)
        return weights @ memory.values, weights

    def extra_repr(self) -> str:
        return f"{self.query_size}, {self.value_size}"


class AdditiveAttention(Attention):
    r"""Attention by a small network (Bahdanau, Cho and Bengio, 2015, arXiv 1409.0473).

    .. math::

        e(q_t, v_i) = w^\top \tanh(W_q q_t + W_v v_i + b)

    With ``coverage`` (See, Liu and Manning, 2017, arXiv 1704.04368) a score also depends on how much attention the step
    of the source has had, :math:`s_{ti} = \sum_{t' < t} \alpha_{t'i}`, so that it is not read again and again:

    .. math::

        e(q_t, v_i, s_{ti}) = w^\top \tanh(W_q q_t + W_v v_i + w_s s_{ti} + b)

    Args:
        query_size, value_size: as in :class:`Attention`.
        attention_size: size of the hidden layer; ``query_size`` by default.
        coverage: whether scores depend on the weights of earlier steps.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> attention = AdditiveAttention(5, 6, attention_size=4)
        >>> context, weights = attention(torch.zeros(3, 2, 5), attention.memory(torch.zeros(3, 7, 6)))
        >>> context.shape, weights.shape
        (torch.Size([3, 2, 6]), torch.Size([3, 2, 7]))
    """

    def __init__(
        self,
        query_size: int,
        value_size: int,
        *,
        attention_size: int | None = None,
        coverage: bool = False,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(query_size, value_size)
        attention_size = query_size if attention_size is None else attention_size
        check_sizes(attention_size=attention_size)
        self.coverage = coverage
        self.query = nn.Linear(query_size, attention_size, bias=False, device=device, dtype=dtype)
        self.key = nn.Linear(value_size, attention_size, device=device, dtype=dtype)
        self.score = nn.Linear(attention_size, 1, bias=False, device=device, dtype=dtype)
        self.covered = nn.Linear(1, attention_size, bias=False, device=device, dtype=dtype) if coverage else None

    def keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.key(values)
        return keys

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        hidden = self.query(query)[:, :, None] + keys[:, None]  # (batch, steps, source, attention)
        if self.covered is not None:
            assert coverage is not None
            hidden = hidden + self.covered(coverage[..., None])
        scores: Tensor = self.score(hidden.tanh_())[..., 0]  # in place: it is by far the largest tensor of a decoder
        return scores


class DotAttention(Attention):
    r"""Attention by a dot product (Luong, Pham and Manning, 2015, arXiv 1508.04025), which has no parameters.

    .. math::

        e(q_t, v_i) = q_t^\top v_i

    Args:
        query_size, value_size: as in :class:`Attention`; they must be the same.

    Raises:
        ValueError: the two sizes differ.

    Example:
        >>> attention = DotAttention(6, 6)
        >>> context, weights = attention(torch.zeros(3, 2, 6), attention.memory(torch.zeros(3, 7, 6)))
        >>> context.shape, weights.shape
        (torch.Size([3, 2, 6]), torch.Size([3, 2, 7]))
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__(query_size, value_size)
        if query_size != value_size:
            raise ValueError(
                f"attention=dot needs a decoder as wide as the output of the encoder (both directions together), got "
                f"{query_size} and {value_size} features; attention=general takes any two sizes"
            )

    def keys(self, values: Tensor) -> Tensor:
        return values

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:  # noqa: ARG002
        return query @ keys.transpose(1, 2)


class GeneralAttention(Attention):
    r"""Attention by a bilinear form (Luong, Pham and Manning, 2015, arXiv 1508.04025).

    .. math::

        e(q_t, v_i) = q_t^\top W v_i

    Args:
        query_size, value_size: as in :class:`Attention`.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> attention = GeneralAttention(5, 6)
        >>> context, weights = attention(torch.zeros(3, 2, 5), attention.memory(torch.zeros(3, 7, 6)))
        >>> context.shape, weights.shape
        (torch.Size([3, 2, 6]), torch.Size([3, 2, 7]))
    """

    def __init__(self, query_size: int, value_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__(query_size, value_size)
        self.key = nn.Linear(value_size, query_size, bias=False, device=device, dtype=dtype)

    def keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.key(values)
        return keys

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:  # noqa: ARG002
        return query @ keys.transpose(1, 2)


def coverage_losses(weights: Tensor) -> Tensor:
    r"""Return what See, Liu and Manning (2017) add to the loss of each token so that nothing is read twice.

    .. math::

        \sum_i \min(\alpha_{ti}, \sum_{t' < t} \alpha_{t'i})

    Args:
        weights: of attention, ``(batch, target, source)``.

    Returns:
        ``(batch, target)``, each in [0, 1].

    Example:
        >>> coverage_losses(torch.tensor([[[0.75, 0.25], [0.5, 0.5]]]))
        tensor([[0.0000, 0.7500]])
    """
    before = weights.cumsum(1) - weights
    return torch.minimum(weights, before).sum(-1)
