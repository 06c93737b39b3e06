"""Pooling over time: ``(y (batch, time, size), lengths) -> (batch, size)``. Padding steps take no part."""

import torch
from torch import Tensor, nn

from seqmodels.cells.base import Device, DType
from seqmodels.sequence import last_step, length_mask, usable_lengths


class LastStep(nn.Module):
    """The outputs of a layer at the step where it has seen the whole sequence.

    This is the last real step, but for the features of a layer that reads backwards, which have seen it at step 0.

    Args:
        backward_size: how many of the last features read backwards: ``layer.backward_size``.

    Raises:
        ValueError: ``backward_size`` is negative.

    Example:
        >>> LastStep()(torch.arange(6.0).view(2, 3, 1), torch.tensor([3, 1])).tolist()
        [[2.0], [3.0]]
    """

    def __init__(self, *, backward_size: int = 0) -> None:
        super().__init__()
        if backward_size < 0:
            raise ValueError(f"backward_size must not be negative, got {backward_size}")
        self.backward_size = backward_size

    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        lengths = _checked(y, lengths)
        if self.backward_size > y.shape[-1]:
            raise ValueError(f"y must have at least {self.backward_size} features, got shape {tuple(y.shape)}")
        last = last_step(y, lengths)
        if self.backward_size == 0:
            return last
        return torch.cat([last[:, : -self.backward_size], y[:, 0, -self.backward_size :]], dim=-1)

    def extra_repr(self) -> str:
        return f"backward_size={self.backward_size}"


class EveryStep(nn.Module):
    """No pooling: every step as it is.

    Example:
        >>> EveryStep()(torch.zeros(3, 7, 4)).shape
        torch.Size([3, 7, 4])
    """

    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:  # noqa: ARG002  (as all poolings)
        return y


class MeanPool(nn.Module):
    """The mean over the real steps.

    Example:
        >>> MeanPool()(torch.arange(6.0).view(2, 3, 1), torch.tensor([3, 1])).tolist()
        [[1.0], [3.0]]
    """

    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        lengths = _checked(y, lengths)
        if lengths is None:
            return y.mean(dim=1)
        return y.masked_fill(_padding(y, lengths), 0).sum(dim=1) / lengths[:, None].to(y.dtype)


class MaxPool(nn.Module):
    """The maximum of each feature over the real steps.

    Example:
        >>> MaxPool()(torch.arange(6.0).view(2, 3, 1), torch.tensor([3, 1])).tolist()
        [[2.0], [3.0]]
    """

    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        lengths = _checked(y, lengths)
        if lengths is not None:
            y = y.masked_fill(_padding(y, lengths), -torch.inf)
        return y.amax(dim=1)


class ConcatPool(nn.Module):
    r"""The last output, the maximum and the mean over the real steps, one after the other.

    .. math::

        s = [h_T, \mathrm{maxpool}(h), \mathrm{meanpool}(h)]

    Howard and Ruder, 2018, Universal language model fine-tuning for text classification, arXiv 1801.06146.

    Args:
        input_size: features of a step.
        backward_size: as in :class:`LastStep`.

    Example:
        >>> ConcatPool(1)(torch.tensor([[[1.0], [5.0], [0.0]]]), torch.tensor([3])).tolist()
        [[0.0, 5.0, 2.0]]
    """

    def __init__(self, input_size: int, *, backward_size: int = 0) -> None:
        super().__init__()
        self.output_size = 3 * input_size
        self.parts = nn.ModuleList([LastStep(backward_size=backward_size), MaxPool(), MeanPool()])

    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        return torch.cat([part(y, lengths) for part in self.parts], dim=-1)


class AttentionPool(nn.Module):
    r"""A learnt weighted mean over the real steps (Yang et al., 2016, Hierarchical attention networks).

    .. math::

        u_t &= \tanh(W y_t + b)                    \\
        \alpha &= \mathrm{softmax}_t (v^\top u_t)  \\
        s &= \sum_t \alpha_t y_t

    Args:
        input_size: features of a step.
        attention_size: size of u; ``input_size`` by default.
        device, dtype: of the parameters, as in ``torch.nn``.

    Example:
        >>> AttentionPool(4)(torch.zeros(3, 7, 4), torch.tensor([7, 2, 5])).shape
        torch.Size([3, 4])
    """

    def __init__(
        self, input_size: int, *, attention_size: int | None = None, device: Device = None, dtype: DType = None
    ) -> None:
        super().__init__()
        attention_size = input_size if attention_size is None else attention_size
        self.hidden = nn.Linear(input_size, attention_size, device=device, dtype=dtype)
        self.score = nn.Linear(attention_size, 1, bias=False, device=device, dtype=dtype)

    def weights(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the weight of each step, ``(batch, time)``: 0 past a sequence's length, summing to 1 before it."""
        scores: Tensor = self.score(self.hidden(y).tanh())  # (batch, time, 1)
        if lengths is not None:
            scores = scores.masked_fill(_padding(y, lengths.to(y.device)), -torch.inf)
        return scores.softmax(dim=1)[..., 0]

    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        lengths = _checked(y, lengths)
        if y.shape[2] != self.hidden.in_features:
            raise ValueError(f"y must have {self.hidden.in_features} features, got shape {tuple(y.shape)}")
        if lengths is not None:
            y = y.masked_fill(_padding(y, lengths), 0)
        return (self.weights(y, lengths)[..., None] * y).sum(dim=1)


def _checked(y: Tensor, lengths: Tensor | None) -> Tensor | None:
    """Return the lengths on the device of ``y``; raise unless both have the shape, dtype and values of a pooling."""
    if y.dim() != 3 or not y.is_floating_point():
        raise ValueError(f"y must be floating point (batch, time, size), got {y.dtype} {tuple(y.shape)}")
    if lengths is not None and (lengths.shape != y.shape[:1] or lengths.is_floating_point()):
        raise ValueError(f"lengths must be integers ({len(y)},), got {lengths.dtype} {tuple(lengths.shape)}")
    return None if lengths is None else usable_lengths(lengths, y)


def _padding(y: Tensor, lengths: Tensor) -> Tensor:
    return ~length_mask(lengths, y.shape[1])[..., None]  # (batch, time, 1)
