"""Forget, input and output gate over one state."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class ForgetInputOutputState(NamedTuple):
    h: Tensor  # (batch, hidden)  memory; the output is read from it


class ForgetInputOutputCell(Cell[ForgetInputOutputState]):
    r"""Three gates over one state: an LSTM whose gates read its memory, not its output.

    .. math::

        f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + b_f) \\
        i_t &= \sigma(W_{xi} x_t + W_{hi} h_{t-1} + b_i) \\
        n_t &= \tanh (W_{xn} x_t + W_{hn} h_{t-1} + b_n) \\
        o_t &= \sigma(W_{xo} x_t + W_{ho} h_{t-1} + b_o) \\
        h_t &= f_t \odot h_{t-1} + i_t \odot n_t         \\
        y_t &= o_t \odot \tanh(h_t)

    :class:`~seqmodels.cells.ForgetInputCell` with an output gate. The state is h, the output is y.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = ForgetInputOutputCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("f", "i", "n", "o")

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(4 * hidden_size, input_size)
        self.weight_hh = empty(4 * hidden_size, hidden_size)
        self.bias = empty(4 * hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> ForgetInputOutputState:
        return ForgetInputOutputState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 4 * hidden)

    def step(self, wx: Tensor, state: ForgetInputOutputState) -> tuple[Tensor, ForgetInputOutputState]:
        (h,) = state
        f, i, n, o = (wx + F.linear(h, self.weight_hh)).chunk(4, dim=-1)
        f, i, n, o = f.sigmoid(), i.sigmoid(), n.tanh(), o.sigmoid()
        h = f * h + i * n
        y = o * h.tanh()
        return y, ForgetInputOutputState(h)
