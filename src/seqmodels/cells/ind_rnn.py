"""Independently recurrent network."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.activation import ACTIVATIONS, check_activation
from seqmodels.cells.base import Cell, check_sizes


class IndRNNState(NamedTuple):
    h: Tensor  # (batch, hidden)


class IndRNNCell(Cell[IndRNNState]):
    r"""Elman network whose units see only themselves across time (Li et al., 2018, arXiv 1803.04831).

    .. math::

        h_t = f(W_{xh} x_t + w_{hh} \odot h_{t-1} + b_h)

    ``f`` is ``activation``, relu as in the paper unless given. ``weight_hh (hidden,)`` is a vector, one weight a unit;
    it starts uniform in [0, 1]: units remember over different times and none explodes. Stack layers to mix units.
    """

    gates = ("h",)

    def __init__(self, input_size: int, hidden_size: int, *, activation: str = "relu") -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.activation = check_activation(activation)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw parameters as other cells do, the recurrent weights from U(0, 1)."""
        super().reset_parameters()
        nn.init.uniform_(self.weight_hh, 0, 1)

    def initial_state(self, x: Tensor) -> IndRNNState:
        return IndRNNState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., hidden)

    def step(self, wx: Tensor, state: IndRNNState) -> tuple[Tensor, IndRNNState]:
        (h,) = state
        h = ACTIVATIONS[self.activation](wx + h * self.weight_hh)
        return h, IndRNNState(h)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, activation={self.activation}"
