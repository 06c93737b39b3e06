"""Long short-term memory with a recurrent projection."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, check_sizes, empty_parameters


class ProjectedLSTMState(NamedTuple):
    h: Tensor  # (batch, proj)  projected output, which is also fed back
    c: Tensor  # (batch, hidden)  memory


class ProjectedLSTMCell(Cell[ProjectedLSTMState]):
    r"""LSTM that feeds back a projection of its output (LSTMP; Sak, Senior and Beaufays, 2014, arXiv 1402.1128).

    .. math::

        i_t &= \sigma(W_{xi} x_t + W_{hi} h_{t-1} + b_i) \\
        f_t &= \sigma(W_{xf} x_t + W_{hf} h_{t-1} + b_f) \\
        g_t &= \tanh (W_{xg} x_t + W_{hg} h_{t-1} + b_g) \\
        o_t &= \sigma(W_{xo} x_t + W_{ho} h_{t-1} + b_o) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t         \\
        h_t &= W_{hr} (o_t \odot \tanh(c_t))

    As ``torch.nn.LSTM(proj_size=...)`` computes it: without the paper's peepholes and second, non-recurrent projection.
    ``weight_hh`` is ``(4 * hidden, proj)`` and :math:`W_{hr}` is ``weight_hr (proj, hidden)``.

    Args:
        input_size: size of the input.
        hidden_size: size of the memory.
        proj_size: size of the projection; half the hidden size, rounded up, by default.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = ProjectedLSTMCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.c.shape
        (torch.Size([3, 3]), torch.Size([3, 5]))
    """

    gates = ("i", "f", "g", "o")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        proj_size: int | None = None,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        proj_size = (hidden_size + 1) // 2 if proj_size is None else proj_size
        check_sizes(proj_size=proj_size)
        self.proj_size = proj_size
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(4 * hidden_size, input_size)
        self.weight_hh = empty(4 * hidden_size, proj_size)
        self.bias = empty(4 * hidden_size)
        self.weight_hr = empty(proj_size, hidden_size)
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        return self.proj_size

    def initial_state(self, x: Tensor) -> ProjectedLSTMState:
        return ProjectedLSTMState(h=self.zeros(x, self.proj_size), c=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., 4 * hidden)

    def step(self, wx: Tensor, state: ProjectedLSTMState) -> tuple[Tensor, ProjectedLSTMState]:
        h, c = state
        i, f, g, o = (wx + F.linear(h, self.weight_hh)).chunk(4, dim=-1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = F.linear(o * c.tanh(), self.weight_hr)
        return h, ProjectedLSTMState(h, c)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, proj_size={self.proj_size}"
