"""Gated recurrent unit, reset after the product."""

from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class ResetAfterGRUState(NamedTuple):
    h: Tensor  # (batch, hidden)


class ResetAfterGRUCell(Cell[ResetAfterGRUState]):
    r"""GRU in the form of ``torch.nn.GRU`` and cuDNN (Cho et al., 2014, arXiv 1406.1078v1): reset after the product.

    .. math::

        r_t &= \sigma(W_{xr} x_t + W_{hr} h_{t-1} + b_r)                        \\
        z_t &= \sigma(W_{xz} x_t + W_{hz} h_{t-1} + b_z)                        \\
        n_t &= \tanh (W_{xn} x_t + b_n + r_t \odot (W_{hn} h_{t-1} + b_{hn}))   \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    Here the update gate z weighs the old state. The reset gate scales the whole recurrent product, so the candidate
    needs a second bias that the others do not: :math:`b_{hn}` is ``bias_hn (hidden,)``.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = ResetAfterGRUCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("r", "z", "n")
    retention = MappingProxyType({"z": 1})  # an open update gate keeps the old state

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(3 * hidden_size, input_size)
        self.weight_hh = empty(3 * hidden_size, hidden_size)
        self.bias = empty(3 * hidden_size)
        self.bias_hn = empty(hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> ResetAfterGRUState:
        return ResetAfterGRUState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 3 * hidden)

    def step(self, wx: Tensor, state: ResetAfterGRUState) -> tuple[Tensor, ResetAfterGRUState]:
        (h,) = state
        xr, xz, xn = wx.chunk(3, dim=-1)
        hr, hz, hn = F.linear(h, self.weight_hh).chunk(3, dim=-1)
        r = (xr + hr).sigmoid()
        z = (xz + hz).sigmoid()
        n = (xn + r * (hn + self.bias_hn)).tanh()
        h = (1 - z) * n + z * h
        return h, ResetAfterGRUState(h)
