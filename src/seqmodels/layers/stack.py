"""Layers in depth."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from seqmodels.cells.base import Cell, Device, DType
from seqmodels.layers.base import SequenceLayer, run_layer, states_of
from seqmodels.layers.dropout import LockedDropout
from seqmodels.layers.recurrent import Bidirectional, Recurrent
from seqmodels.sequence import length_mask

CellFactory = Callable[..., Cell[Any]]
"""Called with an input size, and ``hidden_size=``, ``device=`` and ``dtype=`` where given: a cell class or partial."""


class Stack(SequenceLayer[tuple[Any, ...]]):
    """Layers one after the other, which may differ in cell and width; its state is the tuple of theirs.

    Args:
        layers: sequence layers, each reading the output of the one before.
        dropout: probability of :class:`LockedDropout` on the input of each layer but the first.
        residual: add to the output of each layer but the first the output of the layer before.

    Raises:
        ValueError: there is no layer, or two sizes do not fit; the message names both.

    Example:
        >>> from seqmodels.cells import GRUCell, LSTMCell
        >>> stack = Stack([Recurrent(GRUCell(4, 5)), Recurrent(LSTMCell(5, 6))], dropout=0.1)
        >>> y, (lower, upper) = stack(torch.zeros(3, 7, 4))
        >>> y.shape, lower.h.shape, upper.c.shape
        (torch.Size([3, 7, 6]), torch.Size([3, 5]), torch.Size([3, 6]))
    """

    def __init__(self, layers: Sequence[SequenceLayer[Any]], *, dropout: float = 0.0, residual: bool = False) -> None:
        super().__init__()
        if not layers:
            raise ValueError("layers must hold at least one layer, got none")
        for depth, (lower, upper) in enumerate(pairwise(layers), start=1):
            if upper.input_size != lower.output_size:
                sizes = f"input_size {upper.input_size}, got output_size {lower.output_size} below it"
                raise ValueError(f"layers must fit each other: layer {depth} has {sizes}")
            if residual and upper.output_size != lower.output_size:
                sizes = f"output_size {upper.output_size} over {lower.output_size}"
                raise ValueError(f"residual needs layers of one size: layer {depth} has {sizes}")
        self.layers = nn.ModuleList(layers)
        self.dropout = LockedDropout(dropout)
        self.residual = residual
        self.input_size = layers[0].input_size
        self.output_size = layers[-1].output_size
        self.backward_size = layers[-1].backward_size

    def forward(
        self,
        x: Tensor,
        state: tuple[Any, ...] | None = None,
        lengths: Tensor | None = None,
        *,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        states = states_of(state, len(self.layers), f"{len(self.layers)}, one for each layer")
        y, first = run_layer(self.layers[0], x, states[0], lengths, resets)
        final = [first]
        for layer, layer_state in zip(list(self.layers)[1:], states[1:], strict=True):
            below = y
            y, layer_state = run_layer(layer, self.dropout(below), layer_state, lengths, resets)  # noqa: PLW2901
            y = y + below if self.residual else y
            final.append(layer_state)
        return y, tuple(final)

    def extra_repr(self) -> str:
        return f"residual={self.residual}"


class ConcatInput(SequenceLayer[Any]):
    """A layer whose output is preceded, feature by feature, by its input.

    Args:
        layer: any sequence layer.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> y, state = ConcatInput(Recurrent(GRUCell(4, 5)))(torch.zeros(3, 7, 4))
        >>> y.shape
        torch.Size([3, 7, 9])
    """

    def __init__(self, layer: SequenceLayer[Any]) -> None:
        super().__init__()
        self.layer = layer
        self.input_size = layer.input_size
        self.output_size = layer.input_size + layer.output_size
        self.backward_size = layer.backward_size

    def forward(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None, *, resets: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        y, state = run_layer(self.layer, x, state, lengths, resets)
        if lengths is not None:
            x = torch.where(length_mask(lengths.to(x.device), x.shape[1])[..., None], x, 0)
        return torch.cat([x, y], dim=-1), state


def recurrent_stack(
    cell_factory: CellFactory | Sequence[CellFactory],
    input_size: int,
    *,
    hidden_sizes: Sequence[int] | None = None,
    depth: int | None = None,
    bidirectional: bool = False,
    dropout: float = 0.0,
    residual: bool = False,
    backend: str = "auto",
    device: Device = None,
    dtype: DType = None,
) -> Stack:
    """Build a :class:`Stack` of recurrent layers, each reading the output of the one below.

    Args:
        cell_factory: makes a cell from an input size, as ``partial(LSTMCell, hidden_size=128)`` does; or a sequence of
            such factories, one for each layer.
        input_size: size of the input of the first layer.
        hidden_sizes: one hidden size for each layer, passed on as ``cell_factory(size, hidden_size=...)``.
        depth: number of layers; by default that of ``hidden_sizes`` or of the factories, else 1.
        bidirectional: give every layer a second cell that reads backwards.
        dropout, residual: as in :class:`Stack`.
        backend: as in :func:`~seqmodels.backends.unroll`.
        device, dtype: of the parameters, passed on to ``cell_factory`` where they are given.

    Returns:
        The stack.

    Raises:
        ValueError: the numbers of layers disagree, or sizes do not fit.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> stack = recurrent_stack(GRUCell, 4, hidden_sizes=[5, 6], bidirectional=True)
        >>> stack(torch.zeros(3, 7, 4))[0].shape
        torch.Size([3, 7, 12])
    """
    listed = list(cell_factory) if isinstance(cell_factory, Sequence) else None
    depth = _depth(depth, None if listed is None else len(listed), None if hidden_sizes is None else len(hidden_sizes))
    factories = listed or [cast(CellFactory, cell_factory)] * depth
    common = {name: value for name, value in (("device", device), ("dtype", dtype)) if value is not None}
    layers: list[SequenceLayer[Any]] = []
    size = input_size
    for level, factory in enumerate(factories):
        options = common if hidden_sizes is None else {"hidden_size": hidden_sizes[level], **common}
        layer: SequenceLayer[Any] = Recurrent(factory(size, **options), backend=backend)
        if bidirectional:
            layer = Bidirectional(layer, Recurrent(factory(size, **options), reverse=True, backend=backend))
        layers.append(layer)
        size = layer.output_size
    return Stack(layers, dropout=dropout, residual=residual)


def _depth(depth: int | None, factories: int | None, hidden_sizes: int | None) -> int:
    """Return the number of layers on which those of the three that are given agree."""
    counts = {"depth": depth, "the number of cell factories": factories, "the number of hidden_sizes": hidden_sizes}
    given = {name: number for name, number in counts.items() if number is not None}
    if len(set(given.values())) > 1:
        raise ValueError(f"{' and '.join(given)} must agree, got {' and '.join(map(str, given.values()))}")
    common = next(iter(given.values()), 1)
    if common < 1:
        raise ValueError(f"{next(iter(given))} must be at least 1, got {common}")
    return common
