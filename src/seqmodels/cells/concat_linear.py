"""Linear recurrence over the concatenation of input and state."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class ConcatLinearState(NamedTuple):
    h: Tensor  # (batch, hidden)


class ConcatLinearCell(Cell[ConcatLinearState]):
    r"""One linear layer over the concatenation of input and state, with no nonlinearity: a linear dynamical system.

    .. math::

        h_t = W [x_t; h_{t-1}] + b = W_{xh} x_t + W_{hh} h_{t-1} + b

    This is the step of much introductory code, ``i2h(torch.cat((input, hidden), 1))``, computed exactly as written.
    The columns of W that multiply x are ``weight_ih``, those that multiply h are ``weight_hh``. Outputs are affine in
    the inputs, whatever their length. With a tanh around the right-hand side it is
    :class:`~seqmodels.cells.ElmanCell`.

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
