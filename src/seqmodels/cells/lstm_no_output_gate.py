"""Long short-term memory without an output gate."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import Cell, check_sizes


class NoOutputGateLSTMState(NamedTuple):
    h: Tensor  # (batch, hidden)  hidden state, which is also the output
    c: Tensor  # (batch, hidden)  memory


class NoOutputGateLSTMCell(Cell[NoOutputGateLSTMState]):
    r"""LSTM with input and forget gate whose output is a plain sigmoid of its memory.

    .. math::

        i_t &= \sigma(W_{xi} x_t + W_{hi} h_{t-1} + b_i) \\
        f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + b_f) \\
        g_t &= \tanh (W_{xg} x_t + W_{hg} h_{t-1} + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t         \\
        h_t &= \sigma(c_t)

    A form found in introductory texts; no output gate hides the memory (compare variant NOG of Greff et al., 2017,
    arXiv 1503.04069, where the output is tanh(c)). Outputs lie in (0, 1): the initial h = 0 is outside that range, and
    a memory of 0 puts out 0.5.
    """

    gates = ("i", "f", "g")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> NoOutputGateLSTMState:
        return NoOutputGateLSTMState(h=self.zeros(x), c=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 3 * hidden)

    def step(self, wx: Tensor, state: NoOutputGateLSTMState) -> tuple[Tensor, NoOutputGateLSTMState]:
        h, c = state
        i, f, g = (wx + F.linear(h, self.weight_hh)).chunk(3, dim=-1)
        i, f, g = i.sigmoid(), f.sigmoid(), g.tanh()
        c = f * c + i * g
        h = c.sigmoid()
        return h, NoOutputGateLSTMState(h, c)
