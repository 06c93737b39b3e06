"""Minimal LSTM for parallel training."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import LinearCell, check_sizes


class MinLSTMState(NamedTuple):
    h: Tensor  # (batch, hidden)


class MinLSTMCell(LinearCell[MinLSTMState]):
    r"""LSTM without a recurrent product, so that time can be scanned (minLSTM; Feng et al., 2024, arXiv 2410.01201).

    .. math::

        f_t &= \sigma(W_{xf} x_t + b_f)                                             \\
        i_t &= \sigma(W_{xi} x_t + b_i)                                             \\
        n_t &= W_{xn} x_t + b_n                                                     \\
        h_t &= \frac{f_t}{f_t + i_t} \odot h_{t-1} + \frac{i_t}{f_t + i_t} \odot n_t

    The vanilla form of the paper's section 3.2, with the gates normalised to sum to one. The quotient is computed as
    :math:`\sigma(\log f_t - \log i_t)`, which is the same and stays finite where both gates are closed.
    """

    gates = ("f", "i", "n")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> MinLSTMState:
        return MinLSTMState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 3 * hidden)

    def coefficients(self, wx: Tensor) -> tuple[Tensor, Tensor]:
        f, i, n = wx.chunk(3, dim=-1)
        f = (F.logsigmoid(f) - F.logsigmoid(i)).sigmoid()  # f / (f + i)
        return f, (1 - f) * n
