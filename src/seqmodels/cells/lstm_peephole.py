"""Long short-term memory with peepholes."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import Cell, check_sizes


class PeepholeLSTMState(NamedTuple):
    h: Tensor  # (batch, hidden)  hidden state, which is also the output
    c: Tensor  # (batch, hidden)  memory


class PeepholeLSTMCell(Cell[PeepholeLSTMState]):
    r"""LSTM whose gates see the memory (Gers and Schmidhuber, 2000; Gers, Schraudolph and Schmidhuber, 2002).

    .. math::

        i_t &= \sigma(W_{xi} x_t + W_{hi} h_{t-1} + w_{ci} \odot c_{t-1} + b_i) \\
        f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + w_{cf} \odot c_{t-1} + b_f) \\
        g_t &= \tanh (W_{xg} x_t + W_{hg} h_{t-1} + b_g)                        \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t                                \\
        o_t &= \sigma(W_{xo} x_t + W_{ho} h_{t-1} + w_{co} \odot c_t + b_o)     \\
        h_t &= o_t \odot \tanh(c_t)

    The peepholes ``weight_ci``, ``weight_cf`` and ``weight_co`` are vectors ``(hidden,)``, one weight a channel. The
    output gate sees the new memory.
    """

    gates = ("i", "f", "g", "o")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        self.weight_ci = nn.Parameter(torch.empty(hidden_size))
        self.weight_cf = nn.Parameter(torch.empty(hidden_size))
        self.weight_co = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> PeepholeLSTMState:
        return PeepholeLSTMState(h=self.zeros(x), c=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 4 * hidden)

    def step(self, wx: Tensor, state: PeepholeLSTMState) -> tuple[Tensor, PeepholeLSTMState]:
        h, c = state
        i, f, g, o = (wx + F.linear(h, self.weight_hh)).chunk(4, dim=-1)
        i = (i + self.weight_ci * c).sigmoid()
        f = (f + self.weight_cf * c).sigmoid()
        g = g.tanh()
        c = f * c + i * g
        o = (o + self.weight_co * c).sigmoid()
        h = o * c.tanh()
        return h, PeepholeLSTMState(h, c)
