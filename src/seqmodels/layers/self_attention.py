"""Self-attention over the steps of a sequence."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.layers.base import SequenceLayer
from seqmodels.sequence import length_mask


class SelfAttention(SequenceLayer):
    r"""Multi-head attention of each step to all real ones, added to what it reads, and normalised.

    .. math::

        y = \mathrm{LayerNorm}(x + W_o \, \mathrm{heads}(x)), \qquad
        \mathrm{head}_i = \mathrm{softmax}(Q_i K_i^\top / \sqrt{d}) V_i

    As the first half of a Transformer's layer (Vaswani et al., 2017, arXiv 1706.03762), without its positions: a
    recurrent layer below has told the steps apart. Each step sees the whole sequence, also what comes after it.

    Args:
        input_size: features of a step, as many as of an output.
        heads: attentions side by side, each on its part of the features.
        dropout: probability of dropping a weight of the attention, and a feature of what is added.
    """

    def __init__(self, input_size: int, *, heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or input_size % heads:
            raise ValueError(f"heads must divide the {input_size} features that the layer reads, got {heads}")
        self.input_size = self.output_size = input_size
        self.heads = heads
        self.queries_keys_values = nn.Linear(input_size, 3 * input_size)
        self.joined = nn.Linear(input_size, input_size)
        self.norm = nn.LayerNorm(input_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:  # noqa: ARG002
        """Return ``y`` as ``x (batch, time, input)`` is shaped, 0 past a length; there is no state, ``()``."""
        batch, time, _ = x.shape
        real = None if lengths is None else length_mask(lengths.to(x.device), time)
        if real is not None:
            x = torch.where(real[..., None], x, 0)  # whatever stands there, a weight of 0 times it is 0
        parts = self.queries_keys_values(x).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(
            parts[0],
            parts[1],
            parts[2],
            attn_mask=None if real is None else real[:, None, None],
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        y = self.norm(x + self.dropout(self.joined(heads.transpose(1, 2).flatten(2))))
        return (y if real is None else torch.where(real[..., None], y, 0)), ()
