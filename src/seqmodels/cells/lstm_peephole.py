"""Long short-term memory with peepholes."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class PeepholeLSTMState(NamedTuple):
    h: Tensor  # (batch, hidden)  hidden state, which is also the output
    c: Tensor  # (batch, hidden)  memory


class PeepholeLSTMCell(Cell[PeepholeLSTMState]):
    r"""LSTM whose gates also read the memory (Gers and Schmidhuber, 2000; Gers, Schraudolph and Schmidhuber, 2002).

    .. math::

        i_t &= \sigma(W_{xi} x_t + W_{hi} h_{t-1} + w_{ci} \odot c_{t-1} + b_i) \\
        f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + w_{cf} \odot c_{t-1} + b_f) \\
        g_t &= \tanh (W_{xg} x_t + W_{hg} h_{t-1} + b_g)                        \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t                                \\
        o_t &= \sigma(W_{xo} x_t + W_{ho} h_{t-1} + w_{co} \odot c_t + b_o)     \\
        h_t &= o_t \odot \tanh(c_t)

    The peepholes ``weight_ci``, ``weight_cf`` and ``weight_co`` are vectors ``(hidden,)``, one weight per unit. The
    output gate reads the new memory.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = PeepholeLSTMCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.c.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("i", "f", "g", "o")

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(4 * hidden_size, input_size)
        self.weight_hh = empty(4 * hidden_size, hidden_size)
        self.bias = empty(4 * hidden_size)
        self.weight_ci = empty(hidden_size)
        self.weight_cf = empty(hidden_size)
        self.weight_co = empty(hidden_size)
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
