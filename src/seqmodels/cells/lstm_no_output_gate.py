"""Long short-term memory without an output gate."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class NoOutputGateLSTMState(NamedTuple):
    h: Tensor  # (batch, hidden)  hidden state, which is also the output
    c: Tensor  # (batch, hidden)  memory


class NoOutputGateLSTMCell(Cell[NoOutputGateLSTMState]):
    r"""LSTM with an input and a forget gate, whose output is the sigmoid of its memory.

    .. math::

        i_t &= \sigma(W_{xi} x_t + W_{hi} h_{t-1} + b_i) \\
        f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + b_f) \\
        g_t &= \tanh (W_{xg} x_t + W_{hg} h_{t-1} + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t         \\
        h_t &= \sigma(c_t)

    A form found in introductory texts; no output gate hides the memory (compare variant NOG of Greff et al., 2017,
    arXiv 1503.04069, where the output is tanh(c)). Outputs lie in (0, 1): the initial h = 0 is outside that range, and
    a memory of 0 gives 0.5.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = NoOutputGateLSTMCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.c.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("i", "f", "g")

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(3 * hidden_size, input_size)
        self.weight_hh = empty(3 * hidden_size, hidden_size)
        self.bias = empty(3 * hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> NoOutputGateLSTMState:
        return NoOutputGateLSTMState(h=self.zeros(x), c=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 3 * hidden)

    def step(self, wx: Tensor, state: NoOutputGateLSTMState) -> tuple[Tensor, NoOutputGateLSTMState]:
        h, c = state
        i, f, g = (wx + F.linear(h, self.weight_hh)).chunk(3, dim=-1)
        i, f, g = i.sigmoid(), f.sigmoid(), g.tanh()
        c = f * c + i * g
        h = c.sigmoid()
        return h, NoOutputGateLSTMState(h, c)
