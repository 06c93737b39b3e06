"""Minimal GRU for parallel training."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import LinearCell, check_sizes


class MinGRUState(NamedTuple):
    h: Tensor  # (batch, hidden)


class MinGRUCell(LinearCell[MinGRUState]):
    r"""GRU without a recurrent product, so that time can be scanned (minGRU; Feng et al., 2024, arXiv 2410.01201).

    .. math::

        z_t &= \sigma(W_{xz} x_t + b_z)                 \\
        n_t &= W_{xn} x_t + b_n                         \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t

    The vanilla form of the paper's section 3.1; its log-space form also maps the candidate to positive values.
    """

    gates = ("z", "n")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(2 * hidden_size))
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> MinGRUState:
        return MinGRUState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 2 * hidden)

    def coefficients(self, wx: Tensor) -> tuple[Tensor, Tensor]:
        z, n = wx.chunk(2, dim=-1)
        z = z.sigmoid()
        return 1 - z, z * n
