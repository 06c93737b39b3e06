"""The read-out of a recurrent network, applied at every step."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqmodels.cells.base import Device, DType
from seqmodels.errors import nearest
from seqmodels.layers.base import SequenceLayer, states_of
from seqmodels.sequence import length_mask

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda a: a,
    "softmax": lambda a: a.softmax(-1),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class ReadOut(SequenceLayer[tuple[()]]):
    r"""The output equation of the simple recurrent network (Elman, 1990), at every step.

    .. math::

        y_t = g(W_{hy} h_t + b_y)

    Maps ``h (batch, time, hidden)`` to ``y (batch, time, output)``, 0 past a sequence's length; it carries no state.

    Args:
        hidden_size: size of h.
        output_size: size of y.
        activation: ``g``: ``identity``, ``softmax`` (over the outputs), ``sigmoid`` or ``tanh``.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: ``activation`` is unknown.

    Example:
        >>> y, _ = ReadOut(4, 2, activation="softmax")(torch.zeros(3, 7, 4))
        >>> y.shape
        torch.Size([3, 7, 2])
    """

    def __init__(
        self,
        hidden_size: int,
        output_size: int,
        *,
        activation: str = "identity",
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        if activation not in _FUNCTIONS:
            hint = nearest(activation, _FUNCTIONS)
            raise ValueError(f"activation must be one of {', '.join(_FUNCTIONS)}, got {activation!r}{hint}")
        self.input_size = hidden_size
        self.output_size = output_size
        self.activation = activation
        self.linear = nn.Linear(hidden_size, output_size, device=device, dtype=dtype)

    def forward(
        self,
        x: Tensor,
        state: tuple[()] | None = None,
        lengths: Tensor | None = None,
        *,
        resets: Tensor | None = None,  # noqa: ARG002  (steps do not meet here)
    ) -> tuple[Tensor, tuple[()]]:
        states_of(state, 0, "none: a read-out carries no state")
        g = _FUNCTIONS[self.activation]
        if lengths is None:
            return g(self.linear(x)), ()
        padding = ~length_mask(lengths.to(x.device), x.shape[1])[..., None]
        return g(self.linear(x.masked_fill(padding, 0))).masked_fill(padding, 0), ()

    def extra_repr(self) -> str:
        return f"activation={self.activation}"
