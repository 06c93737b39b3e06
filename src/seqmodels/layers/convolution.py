"""Convolutions over time, for sequences of different lengths."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import Device, DType
from seqmodels.sequence import length_mask

Norm = Literal["instance"]


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
        norm: ``instance`` normalises the convolution before ReLU; see :class:`InstanceNorm`.
        dropout: probability of zeroing a feature of the output in training.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is less than 1, or there is no such ``norm``.

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
        norm: Norm | None = None,
        dropout: float = 0.0,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        if norm is not None and norm not in get_args(Norm):
            raise ValueError(f"norm must be None or one of {', '.join(get_args(Norm))}, got {norm!r}")
        for name, value in (("channels", channels), ("kernel_size", kernel_size), ("stride", stride), ("pool", pool)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.convolution = nn.Conv1d(input_size, channels, kernel_size, stride=stride, device=device, dtype=dtype)
        self.norm = None if norm is None else InstanceNorm(channels, device=device, dtype=dtype)
        self.dropout = nn.Dropout(dropout)
        self.output_size = channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.pool = pool

    @property
    def shortens(self) -> bool:
        """Whether the output has fewer steps than the input."""
        return self.stride * self.pool > 1

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the lengths of the outputs for inputs of these lengths."""
        steps = -(-lengths // self.stride)
        return -(-steps // self.pool)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return outputs and their lengths; all steps are real if no lengths are given."""
        time, before = x.shape[1], (self.kernel_size - 1) // 2
        steps = -(-time // self.stride)
        after = (steps - 1) * self.stride + self.kernel_size - before - time
        x = _cleared(x, lengths).transpose(1, 2)
        y = self.convolution(F.pad(x, (before, after))).transpose(1, 2)
        lengths = None if lengths is None else -(-lengths // self.stride)
        if self.norm is not None:
            y = self.norm(y, lengths)
        y = _cleared(y.relu(), lengths)  # so that padding is never the maximum: relu leaves nothing below 0
        if self.pool > 1:
            y = F.pad(y.transpose(1, 2), (0, -steps % self.pool))
            # max_pool1d would take the size of one example for that of all in an exported graph
            y = F.max_pool2d(y[..., None], (self.pool, 1))[..., 0].transpose(1, 2)
            lengths = None if lengths is None else -(-lengths // self.pool)
        return self.dropout(y), lengths


class ConvolutionStack(nn.Module):
    """Several :class:`Convolution` one after the other, with the signature of one.

    With normalisation and under recurrent layers whose input is pooled beside their output
    (:class:`~seqmodels.layers.ConcatInput`) this is close to LSTM-FCN (Karim et al., 2018, arXiv 1709.05206), where the
    two are side by side; there the layers have 128, 256 and 128 channels, kernels of 8, 5 and 3 steps, and batch
    normalisation.

    Args:
        input_size: features of a step.
        channels: features of an output, of every layer.
        kernel_sizes: steps that an output of each layer sees.
        pool: consecutive outputs of each layer that max pooling combines.
        norm: as in :class:`Convolution`.
        dropout: probability of zeroing a feature of the last output in training.
        concat_input: put the input before the last output: normalisation takes the level and the amplitude of a
            series away, which may be what tells classes apart.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: there is no layer, a size is less than 1, there is no such ``norm``, or ``concat_input`` has a
            ``pool``.

    Example:
        >>> y, lengths = ConvolutionStack(4, channels=5, pool=2)(torch.zeros(3, 17, 4), torch.tensor([17, 2, 5]))
        >>> y.shape, lengths
        (torch.Size([3, 3, 5]), tensor([3, 1, 1]))
    """

    def __init__(
        self,
        input_size: int,
        *,
        channels: int = 64,
        kernel_sizes: Sequence[int] = (9, 5, 3),
        pool: int = 1,
        norm: Norm | None = "instance",
        dropout: float = 0.0,
        concat_input: bool = False,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        if not kernel_sizes:
            raise ValueError("kernel_sizes must have one size for each layer, got none")
        if concat_input and pool > 1:
            raise ValueError(f"concat_input needs as many outputs as inputs, pool=1, got pool={pool}")
        sizes = [input_size, *[channels] * (len(kernel_sizes) - 1)]
        self.layers = nn.ModuleList(
            Convolution(
                size, channels=channels, kernel_size=kernel_size, pool=pool, norm=norm, device=device, dtype=dtype
            )
            for size, kernel_size in zip(sizes, kernel_sizes, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.concat_input = concat_input
        self.output_size = channels + input_size * concat_input
        self.shortens = pool > 1
        """Whether the output has fewer steps than the input."""

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the lengths of the outputs for inputs of these lengths."""
        for layer in self.layers:
            assert isinstance(layer, Convolution)
            lengths = layer.output_lengths(lengths)
        return lengths

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return outputs and their lengths; all steps are real if no lengths are given."""
        y = x
        for layer in self.layers:
            y, lengths = layer(y, lengths)
        y = self.dropout(y)
        return torch.cat((_cleared(x, lengths), y), dim=-1) if self.concat_input else y, lengths


class InstanceNorm(nn.Module):
    r"""Each feature of each sequence, normalised over the sequence's own real steps.

    .. math::

        y_t = \gamma \frac{x_t - \mathrm{mean}(x)}{\sqrt{\mathrm{var}(x) + \varepsilon}} + \beta

    Ulyanov et al., 2016, arXiv 1607.08022. In training as in evaluation no row depends on others, and none on its
    padding, unlike with batch normalisation. Series that differ in level and amplitude become comparable.

    Args:
        features: features of a step.
        eps: added to the variance, the mean square over the real steps.
        device, dtype: of the parameters, as in ``torch.nn``.

    Example:
        >>> InstanceNorm(1)(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2])).flatten().tolist()[:2]
        [-0.9999949932098389, 0.9999949932098389]
    """

    def __init__(self, features: int, *, eps: float = 1e-5, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(features, device=device, dtype=dtype))
        self.eps = eps

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return ``y (batch, time, features)``; past a length its values mean nothing."""
        steps = x.shape[1] if lengths is None else lengths.to(x.device)[:, None, None]
        mean = _cleared(x, lengths).sum(1, keepdim=True) / steps
        variance = _cleared(x - mean, lengths).square().sum(1, keepdim=True) / steps
        return (x - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias


def _cleared(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return ``x (batch, time, features)`` with 0 past each length."""
    if lengths is None:
        return x
    return torch.where(length_mask(lengths.to(x.device), x.shape[1])[..., None], x, 0)
