"""Linear recurrence over the concatenation of input and state."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class ConcatLinearState(NamedTuple):
    h: Tensor  # (batch, hidden)


class ConcatLinearCell(Cell[ConcatLinearState]):
    r"""One linear layer over input and state side by side, with no nonlinearity: a linear dynamical system.

    .. math::

        h_t = W [x_t; h_{t-1}] + b = W_{xh} x_t + W_{hh} h_{t-1} + b

    This is the step that introductory code often shows, ``i2h(torch.cat((input, hidden), 1))``, taken at its word.
    The columns of W that meet x are ``weight_ih``, those that meet h are ``weight_hh``; the two products sum to the one
    over the concatenation. Outputs are affine in the inputs, whatever their length. A tanh around the right-hand side
    makes it :class:`~seqmodels.cells.ElmanCell`.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = ConcatLinearCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("h",)

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(hidden_size, input_size)
        self.weight_hh = empty(hidden_size, hidden_size)
        self.bias = empty(hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> ConcatLinearState:
        return ConcatLinearState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., hidden)

    def step(self, wx: Tensor, state: ConcatLinearState) -> tuple[Tensor, ConcatLinearState]:
        (h,) = state
        h = wx + F.linear(h, self.weight_hh)
        return h, ConcatLinearState(h)
