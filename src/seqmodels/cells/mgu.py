"""Minimal gated unit."""

from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class MGUState(NamedTuple):
    h: Tensor  # (batch, hidden)


class MGUCell(Cell[MGUState]):
    r"""Minimal gated unit: a GRU whose one gate both resets and updates (Zhou et al., 2016, arXiv 1603.09420).

    .. math::

        f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + b_f)                \\
        n_t &= \tanh (W_{xn} x_t + W_{hn} (f_t \odot h_{t-1}) + b_n)    \\
        h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t

    The paper calls f the forget gate: where it is open, the old state is replaced.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = MGUCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("f", "n")
    retention = MappingProxyType({"f": -1})  # an open gate replaces the old state

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(2 * hidden_size, input_size)
        self.weight_hh = empty(2 * hidden_size, hidden_size)
        self.bias = empty(2 * hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> MGUState:
        return MGUState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 2 * hidden)

    def step(self, wx: Tensor, state: MGUState) -> tuple[Tensor, MGUState]:
        (h,) = state
        xf, xn = wx.chunk(2, dim=-1)
        f = (xf + F.linear(h, self.weight_hh[: self.hidden_size])).sigmoid()
        n = (xn + F.linear(f * h, self.weight_hh[self.hidden_size :])).tanh()
        h = (1 - f) * h + f * n
        return h, MGUState(h)
