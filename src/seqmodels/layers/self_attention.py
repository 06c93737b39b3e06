"""Self-attention over the steps of a sequence."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.backends.arguments import checked_resets
from seqmodels.cells.base import Device, DType
from seqmodels.layers.base import SequenceLayer
from seqmodels.sequence import length_mask


class SelfAttention(SequenceLayer[tuple[()]]):
    r"""Multi-head attention of each step to all real steps, with a residual connection and layer normalisation.

    .. math::

        y = \mathrm{LayerNorm}(x + W_o \, \mathrm{heads}(x)), \qquad
        \mathrm{head}_i = \mathrm{softmax}(Q_i K_i^\top / \sqrt{d}) V_i

    The attention block of a Transformer layer (Vaswani et al., 2017, arXiv 1706.03762) without positional encoding,
    since a recurrent layer below it encodes the order. Each step sees the whole sequence, later steps included. There
    is no state to carry.

    Args:
        input_size: features of a step, and of an output.
        heads: number of heads, each with its share of the features.
        dropout: probability of dropping an attention weight, and a feature of what is added to ``x``.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: ``heads`` does not divide ``input_size``.

    Example:
        >>> y, _ = SelfAttention(8, heads=2)(torch.zeros(3, 7, 8), lengths=torch.tensor([7, 2, 5]))
        >>> y.shape
        torch.Size([3, 7, 8])
    """

    def __init__(
        self, input_size: int, *, heads: int = 4, dropout: float = 0.0, device: Device = None, dtype: DType = None
    ) -> None:
        super().__init__()
        if heads < 1 or input_size % heads:
            raise ValueError(f"heads must divide the {input_size} features that the layer reads, got {heads}")
        self.input_size = self.output_size = input_size
        self.heads = heads
        self.queries_keys_values = nn.Linear(input_size, 3 * input_size, device=device, dtype=dtype)
        self.joined = nn.Linear(input_size, input_size, device=device, dtype=dtype)
        self.norm = nn.LayerNorm(input_size, device=device, dtype=dtype)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        state: tuple[()] | None = None,  # noqa: ARG002  (one signature for all layers)
        lengths: Tensor | None = None,
        *,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, tuple[()]]:
        batch, time, _ = x.shape
        real = None if lengths is None else length_mask(lengths.to(x.device), time)
        if real is not None:
            x = torch.where(real[..., None], x, 0)  # finite: a weight of 0 times NaN would be NaN
        seen = None if real is None else real[:, None, None]
        if (resets := checked_resets(resets, x)) is not None:
            number = (resets if real is None else resets & real).cumsum(1)  # of the sequence that a step belongs to
            same = (number[:, :, None] == number[:, None])[:, None]
            seen = same if seen is None else same & seen
        parts = self.queries_keys_values(x).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(
            parts[0],
            parts[1],
            parts[2],
            attn_mask=seen,
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        y = self.norm(x + self.dropout(self.joined(heads.transpose(1, 2).flatten(2))))
        return (y if real is None else torch.where(real[..., None], y, 0)), ()

    def extra_repr(self) -> str:
        return f"heads={self.heads}"
