"""Forget and input gate over one state."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class ForgetInputState(NamedTuple):
    h: Tensor  # (batch, hidden)


class ForgetInputCell(Cell[ForgetInputState]):
    r"""Two independent gates over one state: the memory of an LSTM, without an output gate or a final nonlinearity.

    .. math::

        f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + b_f) \\
        i_t &= \sigma(W_{xi} x_t + W_{hi} h_{t-1} + b_i) \\
        n_t &= \tanh (W_{xn} x_t + W_{hn} h_{t-1} + b_n) \\
        h_t &= f_t \odot h_{t-1} + i_t \odot n_t

    The two gates need not sum to one, so h is unbounded, as an LSTM's c is. Texts that print a second recurrent matrix
    inside a gate (U h + W h) describe the same cell: the sum of two matrices is one matrix.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = ForgetInputCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("f", "i", "n")

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(3 * hidden_size, input_size)
        self.weight_hh = empty(3 * hidden_size, hidden_size)
        self.bias = empty(3 * hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> ForgetInputState:
        return ForgetInputState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 3 * hidden)

    def step(self, wx: Tensor, state: ForgetInputState) -> tuple[Tensor, ForgetInputState]:
        (h,) = state
        f, i, n = (wx + F.linear(h, self.weight_hh)).chunk(3, dim=-1)
        f, i, n = f.sigmoid(), i.sigmoid(), n.tanh()
        h = f * h + i * n
        return h, ForgetInputState(h)
