"""Independently recurrent network."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.activation import ACTIVATIONS, check_activation
from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class IndRNNState(NamedTuple):
    h: Tensor  # (batch, hidden)


class IndRNNCell(Cell[IndRNNState]):
    r"""Elman network in which each unit is recurrently connected only to itself (Li et al., 2018, arXiv 1803.04831).

    .. math::

        h_t = f(W_{xh} x_t + w_{hh} \odot h_{t-1} + b_h)

    ``weight_hh (hidden,)`` is a vector, one weight per unit, initialised uniformly in [0, 1]: units remember for
    different times and none explodes. Stack layers to mix units.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        activation: ``f``, one of ``relu`` (as in the paper), ``tanh``, ``sigmoid`` or ``identity``.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number, or an activation is unknown.

    Example:
        >>> y, state = IndRNNCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("h",)

    def __init__(
        self, input_size: int, hidden_size: int, *, activation: str = "relu", device: Device = None, dtype: DType = None
    ) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        self.activation = check_activation(activation)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(hidden_size, input_size)
        self.weight_hh = empty(hidden_size)
        self.bias = empty(hidden_size)
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
