"""From the states of an encoder to those of a decoder, which may have other cells, widths and depths."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.layers import Bidirectional, Recurrent, SequenceLayer, Stack
from seqmodels.sequence import leaves, map_leaves


def initial_state(layer: SequenceLayer[Any], x: Tensor) -> Any:
    """Return the state of a layer before the first step, for ``x (batch, ...)``.

    Raises:
        TypeError: the layer is neither recurrent nor made of recurrent layers.
    """
    if isinstance(layer, Recurrent):
        return layer.cell.initial_state(x)
    if isinstance(layer, Bidirectional):
        return initial_state(layer.forward_layer, x), initial_state(layer.backward_layer, x)
    if isinstance(layer, Stack):
        return tuple(initial_state(part, x) for part in layer.layers)  # type: ignore[arg-type]
    raise TypeError(f"an encoder and a decoder are made of recurrent layers, got {type(layer).__name__}")


class Bridge(nn.Module):
    """Start each layer of a decoder from the final state of a layer of the encoder.

    The top layers belong together, those below them too; where the decoder is deeper, its lowest layers share the
    lowest layer of the encoder. A state passes unchanged where both have one cell and width (Sutskever, Vinyals and Le,
    2014); elsewhere, and after a bidirectional layer, a linear layer maps all parts of the one state to all parts of
    the other.

    Args:
        encoder, decoder: stacks of recurrent layers.
        output_size: size of a further vector that is made from the state of the encoder's top layer; 0 for none.

    Raises:
        TypeError: a layer is not recurrent.
    """

    def __init__(self, encoder: Stack, decoder: Stack, output_size: int = 0) -> None:
        super().__init__()
        parameter = next(encoder.parameters())
        x = parameter.new_zeros(1, 1)
        below = [initial_state(layer, x) for layer in encoder.layers]  # type: ignore[arg-type]
        above = [initial_state(layer, x) for layer in decoder.layers]  # type: ignore[arg-type]
        self.sources = [max(0, depth + len(below) - len(above)) for depth in range(len(above))]
        linear = partial(nn.Linear, device=parameter.device, dtype=parameter.dtype)
        self.maps = nn.ModuleList(
            nn.Identity() if _same(below[source], state) else linear(_size(below[source]), _size(state))
            for source, state in zip(self.sources, above, strict=True)
        )
        self.output = linear(_size(below[-1]), output_size) if output_size else None

    def forward(self, states: tuple[Any, ...], initial: tuple[Any, ...]) -> tuple[tuple[Any, ...], Tensor | tuple[()]]:
        """Return the states of the decoder's layers, and the further vector ``(batch, output)``, if any.

        Args:
            states: final states of the encoder's layers.
            initial: states of the decoder's layers before the first step, whose structure the result has.
        """
        flat = [torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1) for state in states]
        mapped = tuple(
            _parts(linear(flat[source]), state)
            for linear, source, state in zip(self.maps, self.sources, initial, strict=True)
        )
        return mapped, () if self.output is None else self.output(flat[-1]).tanh()


def _parts(flat: Tensor, like: Any) -> Any:
    """Return ``flat (batch, size)`` in parts with the structure and the shapes of ``like``."""
    parts = iter(flat.split([leaf[0].numel() for leaf in leaves(like)], dim=1))
    return map_leaves(lambda leaf: next(parts).reshape(leaf.shape), like)


def _size(state: Any) -> int:
    return sum(leaf[0].numel() for leaf in leaves(state))


def _same(one: Any, other: Any) -> bool:
    shapes = [[leaf.shape for leaf in leaves(state)] for state in (one, other)]
    return type(one) is type(other) and hasattr(one, "_fields") and shapes[0] == shapes[1]
