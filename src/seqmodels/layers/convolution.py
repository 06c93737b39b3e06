"""A convolution over time, for sequences of different lengths."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import Device, DType
from seqmodels.sequence import length_mask


class Convolution(nn.Module):
    r"""A 1-D convolution over time, ReLU, and max pooling, for sequences of different lengths.

    ``x (batch, time, input) -> (y (batch, shorter time, channels), shorter lengths)``: ``ceil(length / stride)`` steps,
    and of these ``ceil(steps / pool)``. The kernel is centred on a step; before the start and past a sequence's length
    its inputs are 0, so that padding never changes an output. Past the new length ``y`` is 0.

    Args:
        input_size: features of a step.
        channels: features of an output.
        kernel_size: steps that an output sees.
        stride: steps from one output to the next.
        pool: consecutive outputs that max pooling combines.
        dropout: probability of zeroing a feature of the output in training.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is less than 1.

    Example:
        >>> y, lengths = Convolution(4, channels=5, stride=2)(torch.zeros(3, 7, 4), torch.tensor([7, 2, 5]))
        >>> y.shape, lengths
        (torch.Size([3, 4, 5]), tensor([4, 1, 3]))
    """

    def __init__(
        self,
        input_size: int,
        *,
        channels: int = 128,
        kernel_size: int = 3,
        stride: int = 1,
        pool: int = 1,
        dropout: float = 0.0,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("kernel_size", kernel_size), ("stride", stride), ("pool", pool)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.convolution = nn.Conv1d(input_size, channels, kernel_size, stride=stride, device=device, dtype=dtype)
        self.dropout = nn.Dropout(dropout)
        self.output_size = channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.pool = pool

    @property
    def shortens(self) -> bool:
        """Whether the output has fewer steps than the input."""
        return self.stride * self.pool > 1

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return outputs and their lengths; all steps are real if no lengths are given."""
        time, before = x.shape[1], (self.kernel_size - 1) // 2
        steps = -(-time // self.stride)
        after = (steps - 1) * self.stride + self.kernel_size - before - time
        x = _cleared(x, lengths).transpose(1, 2)
        y = self.convolution(F.pad(x, (before, after))).relu()
        lengths = None if lengths is None else -(-lengths // self.stride)
        y = _cleared(y.transpose(1, 2), lengths)  # so that padding is never the maximum: relu leaves nothing below 0
        if self.pool > 1:
            y = F.pad(y.transpose(1, 2), (0, -steps % self.pool))
            y = F.max_pool1d(y, self.pool).transpose(1, 2)
            lengths = None if lengths is None else -(-lengths // self.pool)
        return self.dropout(y), lengths


def _cleared(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return ``x (batch, time, features)`` with 0 past each length."""
    if lengths is None:
        return x
    return torch.where(length_mask(lengths.to(x.device), x.shape[1])[..., None], x, 0)
