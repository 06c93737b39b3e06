"""Elman network, the simple recurrent network."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.activation import ACTIVATIONS, check_activation
from seqmodels.cells.base import Cell, check_sizes


class ElmanState(NamedTuple):
    h: Tensor  # (batch, hidden)


class ElmanCell(Cell[ElmanState]):
    r"""Simple recurrent network (Elman, 1990, Finding structure in time).

    .. math::

        h_t = f(W_{xh} x_t + W_{hh} h_{t-1} + b_h)

    ``f`` is ``activation``: tanh, relu, sigmoid or identity. With relu, start from
    :func:`~seqmodels.cells.init.identity_recurrent` and clip gradients (Le, Jaitly and Hinton, 2015, arXiv 1504.00941).
    """

    gates = ("h",)

    def __init__(self, input_size: int, hidden_size: int, *, activation: str = "tanh") -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.activation = check_activation(activation)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> ElmanState:
        return ElmanState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., hidden)

    def step(self, wx: Tensor, state: ElmanState) -> tuple[Tensor, ElmanState]:
        (h,) = state
        h = ACTIVATIONS[self.activation](wx + F.linear(h, self.weight_hh))
        return h, ElmanState(h)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, activation={self.activation}"
