"""Layer-normalised long short-term memory."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class LayerNormLSTMState(NamedTuple):
    h: Tensor  # (batch, hidden)  hidden state, which is also the output
    c: Tensor  # (batch, hidden)  memory


class LayerNormLSTMCell(Cell[LayerNormLSTMState]):
    r"""LSTM with layer normalisation (Ba, Kiros and Hinton, 2016, arXiv 1607.06450, supplementary material).

    .. math::

        (i_t, f_t, g_t, o_t) &= LN(W_{xh} x_t; \alpha_x) + LN(W_{hh} h_{t-1}; \alpha_h) + b     \\
        c_t &= \sigma(f_t) \odot c_{t-1} + \sigma(i_t) \odot \tanh(g_t)                         \\
        h_t &= \sigma(o_t) \odot \tanh(LN(c_t; \alpha_c, \beta_c))

    Each of the two products is normalised over all four gates at once, as printed; normalising gate by gate is
    :class:`~seqmodels.cells.RecurrentLayerNorm`. The gains are ``gain_ih``, ``gain_hh (4 * hidden,)`` and ``gain_c
    (hidden,)``. The paper's shifts of the two products and its bias are added: all three are ``bias``; the
    shift of c is ``bias_c``. Gains start at 1 and shifts at 0.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = LayerNormLSTMCell(4, 5)(torch.zeros(3, 4))
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
        self.gain_ih = empty(4 * hidden_size)
        self.gain_hh = empty(4 * hidden_size)
        self.gain_c = empty(hidden_size)
        self.bias_c = empty(hidden_size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as other cells do; gains start at 1, shifts at 0."""
        super().reset_parameters()
        for gain in (self.gain_ih, self.gain_hh, self.gain_c):
            nn.init.ones_(gain)
        for shift in (self.bias, self.bias_c):
            nn.init.zeros_(shift)

    def initial_state(self, x: Tensor) -> LayerNormLSTMState:
        return LayerNormLSTMState(h=self.zeros(x), c=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        xh = F.linear(x, self.weight_ih)
        return F.layer_norm(xh, self.gain_ih.shape, self.gain_ih, self.bias)  # (..., 4 * hidden)

    def step(self, wx: Tensor, state: LayerNormLSTMState) -> tuple[Tensor, LayerNormLSTMState]:
        h, c = state
        hh = F.layer_norm(F.linear(h, self.weight_hh), self.gain_hh.shape, self.gain_hh)
        i, f, g, o = (wx + hh).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * F.layer_norm(c, self.gain_c.shape, self.gain_c, self.bias_c).tanh()
        return h, LayerNormLSTMState(h, c)
