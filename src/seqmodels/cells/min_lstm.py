"""Minimal LSTM for parallel training."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Device, DType, LinearCell, empty_parameters


class MinLSTMState(NamedTuple):
    h: Tensor  # (batch, hidden)


class MinLSTMCell(LinearCell[MinLSTMState]):
    r"""LSTM without a recurrent product, so that time can be scanned (minLSTM; Feng et al., 2024, arXiv 2410.01201).

    .. math::

        f_t &= \sigma(W_{xf} x_t + b_f)                                             \\
        i_t &= \sigma(W_{xi} x_t + b_i)                                             \\
        n_t &= W_{xn} x_t + b_n                                                     \\
        h_t &= \frac{f_t}{f_t + i_t} \odot h_{t-1} + \frac{i_t}{f_t + i_t} \odot n_t

    The vanilla form of the paper's section 3.2, with the gates normalised to sum to one. The quotient is computed as
    :math:`\sigma(\log f_t - \log i_t)`, which is the same and stays finite where both gates are closed.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = MinLSTMCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("f", "i", "n")

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(3 * hidden_size, input_size)
        self.bias = empty(3 * hidden_size)
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> MinLSTMState:
        return MinLSTMState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 3 * hidden)

    def coefficients(self, wx: Tensor) -> tuple[Tensor, Tensor]:
        f, i, n = wx.chunk(3, dim=-1)
        f = (F.logsigmoid(f) - F.logsigmoid(i)).sigmoid()  # f / (f + i)
        return f, (1 - f) * n
