"""Jordan network: the output is fed back."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.activation import ACTIVATIONS, check_activation
from seqmodels.cells.base import Cell, Device, DType, check_sizes, empty_parameters


class JordanState(NamedTuple):
    y: Tensor  # (batch, output)  the last output


class JordanCell(Cell[JordanState]):
    r"""Recurrent network whose output, not its hidden layer, is fed back (Jordan, 1986, Serial order).

    .. math::

        h_t &= f(W_{xh} x_t + W_{yh} y_{t-1} + b_h) \\
        y_t &= g(W_{hy} h_t + b_y)

    :math:`W_{yh}` is ``weight_hh (hidden, output)``, :math:`W_{hy}` is ``weight_ho (output, hidden)`` and :math:`b_y`
    is ``bias_o``. Jordan's own context units also decay; here they hold the last output.

    Args:
        input_size: size of the input.
        hidden_size: size of the hidden layer.
        output_size: size of the output; the hidden size by default.
        activation: ``f``, one of ``tanh``, ``relu``, ``sigmoid`` or ``identity``.
        output_activation: ``g``, one of the same.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number, or an activation is unknown.

    Example:
        >>> y, state = JordanCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.y.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        output_size: int | None = None,
        activation: str = "tanh",
        output_activation: str = "identity",
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        output_size = hidden_size if output_size is None else output_size
        check_sizes(output_size=output_size)
        self.activation = check_activation(activation)
        self.output_activation = check_activation(output_activation, "output_activation")
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(hidden_size, input_size)
        self.weight_hh = empty(hidden_size, output_size)
        self.bias = empty(hidden_size)
        self.weight_ho = empty(output_size, hidden_size)
        self.bias_o = empty(output_size)
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        return self.weight_ho.shape[0]

    def initial_state(self, x: Tensor) -> JordanState:
        return JordanState(y=self.zeros(x, self.output_size))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)  # (..., hidden)

    def step(self, wx: Tensor, state: JordanState) -> tuple[Tensor, JordanState]:
        (y,) = state
        h = ACTIVATIONS[self.activation](wx + F.linear(y, self.weight_hh))
        y = ACTIVATIONS[self.output_activation](F.linear(h, self.weight_ho, self.bias_o))
        return y, JordanState(y)

    def extra_repr(self) -> str:
        options = f"activation={self.activation}, output_activation={self.output_activation}"
        return f"{super().extra_repr()}, output_size={self.output_size}, {options}"
