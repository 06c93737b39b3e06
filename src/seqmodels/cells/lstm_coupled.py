"""Long short-term memory with coupled input and forget gate."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class CoupledLSTMState(NamedTuple):
    h: Tensor  # (batch, hidden)  hidden state, which is also the output
    c: Tensor  # (batch, hidden)  memory


class CoupledLSTMCell(Cell[CoupledLSTMState]):
    r"""LSTM that writes as much as it forgets (CIFG; Greff et al., 2017, arXiv 1503.04069).

    .. math::

        f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + b_f)       \\
        g_t &= \tanh (W_{xg} x_t + W_{hg} h_{t-1} + b_g)       \\
        o_t &= \sigma(W_{xo} x_t + W_{ho} h_{t-1} + b_o)       \\
        c_t &= f_t \odot c_{t-1} + (1 - f_t) \odot g_t         \\
        h_t &= o_t \odot \tanh(c_t)

    The paper prints f = 1 - i with peepholes; here the forget gate is the one computed, and there are no peepholes.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = CoupledLSTMCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.c.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("f", "g", "o")

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(3 * hidden_size, input_size)
        self.weight_hh = empty(3 * hidden_size, hidden_size)
        self.bias = empty(3 * hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> CoupledLSTMState:
        return CoupledLSTMState(h=self.zeros(x), c=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 3 * hidden)

    def step(self, wx: Tensor, state: CoupledLSTMState) -> tuple[Tensor, CoupledLSTMState]:
        h, c = state
        f, g, o = (wx + F.linear(h, self.weight_hh)).chunk(3, dim=-1)
        f, g, o = f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + (1 - f) * g
        h = o * c.tanh()
        return h, CoupledLSTMState(h, c)
