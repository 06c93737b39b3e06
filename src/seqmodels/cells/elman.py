"""Elman network, the simple recurrent network."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.activation import ACTIVATIONS, check_activation
from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class ElmanState(NamedTuple):
    h: Tensor  # (batch, hidden)


class ElmanCell(Cell[ElmanState]):
    r"""Simple recurrent network (Elman, 1990, Finding structure in time).

    .. math::

        h_t = f(W_{xh} x_t + W_{hh} h_{t-1} + b_h)

    With relu, start from :func:`~seqmodels.cells.init.identity_recurrent` and clip gradients (Le, Jaitly and Hinton,
    2015, arXiv 1504.00941).

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        activation: ``f``, one of ``tanh``, ``relu``, ``sigmoid`` or ``identity``.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number, or an activation is unknown.

    Example:
        >>> y, state = ElmanCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("h",)

    def __init__(
        self, input_size: int, hidden_size: int, *, activation: str = "tanh", device: Device = None, dtype: DType = None
    ) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        self.activation = check_activation(activation)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(hidden_size, input_size)
        self.weight_hh = empty(hidden_size, hidden_size)
        self.bias = empty(hidden_size)
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
