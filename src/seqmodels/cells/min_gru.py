"""Minimal GRU for parallel training."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Device, DType, LinearCell, empty_parameters


class MinGRUState(NamedTuple):
    h: Tensor  # (batch, hidden)


class MinGRUCell(LinearCell[MinGRUState]):
    r"""GRU without a recurrent product, so that time can be scanned (minGRU; Feng et al., 2024, arXiv 2410.01201).

    .. math::

        z_t &= \sigma(W_{xz} x_t + b_z)                 \\
        n_t &= W_{xn} x_t + b_n                         \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t

    The vanilla form of the paper's section 3.1; its log-space form also maps the candidate to positive values.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = MinGRUCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("z", "n")

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(2 * hidden_size, input_size)
        self.bias = empty(2 * hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> MinGRUState:
        return MinGRUState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 2 * hidden)

    def coefficients(self, wx: Tensor) -> tuple[Tensor, Tensor]:
        z, n = wx.chunk(2, dim=-1)
        z = z.sigmoid()
        return 1 - z, z * n
