"""The read-out of a recurrent network, applied at every step."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.errors import nearest
from seqmodels.layers.base import SequenceLayer, states_of
from seqmodels.sequence import length_mask

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda a: a,
    "softmax": lambda a: a.softmax(-1),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class ReadOut(SequenceLayer):
    r"""The output equation of the simple recurrent network (Elman, 1990), at every step.

    .. math::

        y_t = g(W_{hy} h_t + b_y)

    ``g`` is ``activation``: identity, softmax (over the outputs), sigmoid or tanh. Maps ``h (batch, time, hidden)`` to
    ``y (batch, time, output)``, which is 0 past a sequence's length; it has no state to carry.
    """

    def __init__(self, hidden_size: int, output_size: int, *, activation: str = "identity") -> None:
        super().__init__()
        if activation not in _FUNCTIONS:
            hint = nearest(activation, _FUNCTIONS)
            raise ValueError(f"activation must be one of {', '.join(_FUNCTIONS)}, got {activation!r}{hint}")
        self.input_size = hidden_size
        self.output_size = output_size
        self.activation = activation
        self.linear = nn.Linear(hidden_size, output_size)

    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, tuple[()]]:
        states_of(state, 0, "none: a read-out carries no state")
        g = _FUNCTIONS[self.activation]
        if lengths is None:
            return g(self.linear(x)), ()
        padding = ~length_mask(lengths.to(x.device), x.shape[1])[..., None]
        return g(self.linear(x.masked_fill(padding, 0))).masked_fill(padding, 0), ()

    def extra_repr(self) -> str:
        return f"activation={self.activation}"
