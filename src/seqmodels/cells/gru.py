"""Gated recurrent unit, reset before the product."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class GRUState(NamedTuple):
    h: Tensor  # (batch, hidden)


class GRUCell(Cell[GRUState]):
    r"""GRU as first printed (Cho et al., 2014, arXiv 1406.1078v3): the state is reset before it is multiplied.

    .. math::

        z_t &= \sigma(W_{xz} x_t + W_{hz} h_{t-1} + b_z)               \\
        r_t &= \sigma(W_{xr} x_t + W_{hr} h_{t-1} + b_r)               \\
        n_t &= \tanh (W_{xn} x_t + W_{hn} (r_t \odot h_{t-1}) + b_n)   \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t

    The update gate z weighs the candidate n, as in Chung et al. (2014); ``torch.nn.GRU`` lets it weigh the old state
    and resets after the product, which is :class:`~seqmodels.cells.ResetAfterGRUCell`.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = GRUCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("z", "r", "n")

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(3 * hidden_size, input_size)
        self.weight_hh = empty(3 * hidden_size, hidden_size)
        self.bias = empty(3 * hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> GRUState:
        return GRUState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 3 * hidden)

    def step(self, wx: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        (h,) = state
        xz, xr, xn = wx.chunk(3, dim=-1)
        hz, hr = F.linear(h, self.weight_hh[: 2 * self.hidden_size]).chunk(2, dim=-1)
        z = (xz + hz).sigmoid()
        r = (xr + hr).sigmoid()
        n = (xn + F.linear(r * h, self.weight_hh[2 * self.hidden_size :])).tanh()
        h = (1 - z) * h + z * n
        return h, GRUState(h)
