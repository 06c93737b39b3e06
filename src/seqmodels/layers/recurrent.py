"""Layers that unroll cells: in one direction, and in both."""

from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from seqmodels.backends import unroll
from seqmodels.backends.arguments import checked_lengths, checked_resets, checked_x
from seqmodels.cells.base import Cell, State
from seqmodels.layers.base import SequenceLayer, run_layer, states_of
from seqmodels.sequence import length_mask

Forward = TypeVar("Forward", bound=tuple[Any, ...])
Backward = TypeVar("Backward", bound=tuple[Any, ...])


class Recurrent(SequenceLayer[State]):
    """One cell unrolled over time, forwards or backwards.

    Args:
        cell: any :class:`~seqmodels.cells.Cell`.
        reverse: read each sequence from its last real step to its first.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Raises:
        TypeError: ``cell`` is not a cell.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> y, state = Recurrent(LSTMCell(4, 5))(torch.zeros(3, 7, 4), lengths=torch.tensor([7, 2, 5]))
        >>> y.shape, state.c.shape
        (torch.Size([3, 7, 5]), torch.Size([3, 5]))
        >>> starts = torch.tensor([[True, False, False, True]])  # two sequences in one row, of three steps and of one
        >>> y, _ = Recurrent(LSTMCell(4, 5), reverse=True)(torch.ones(1, 4, 4), resets=starts)
        >>> torch.equal(y[0, 2], y[0, 3])  # the last step of each, which is read first
        True
    """

    def __init__(self, cell: Cell[State], *, reverse: bool = False, backend: str = "auto") -> None:
        super().__init__()
        if not isinstance(cell, Cell):
            raise TypeError(f"cell must be a Cell, got {cell!r}")
        self.cell = cell
        self.reverse = reverse
        self.backend = backend
        self.input_size = cell.input_size
        self.output_size = cell.output_size
        self.backward_size = cell.output_size if reverse else 0

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None, *, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        if self.reverse and resets is not None:
            checked_x(self.cell, x)
            lengths, resets = checked_lengths(lengths, x), checked_resets(resets, x)
            assert resets is not None
            if lengths is not None:
                resets = resets & length_mask(lengths, x.shape[1])
            # read backwards, a sequence begins before the next one's flag; the last of a row follows from state
            resets = torch.cat([resets[:, 1:], torch.zeros_like(resets[:, :1])], dim=1)
        return unroll(self.cell, x, state, lengths=lengths, resets=resets, reverse=self.reverse, backend=self.backend)

    def extra_repr(self) -> str:
        return f"reverse={self.reverse}, backend={self.backend!r}"


class Bidirectional(SequenceLayer[tuple[Forward, Backward]], Generic[Forward, Backward]):
    """A layer that reads forwards and one that reads backwards over the same input, their outputs concatenated.

    ``y (batch, time, forward output + backward output)``; the state is the pair of the two layers' states.

    Args:
        forward_layer: the layer that reads forwards.
        backward_layer: the layer that reads backwards, made with ``reverse=True``.

    Raises:
        ValueError: the two have different input sizes, read in the wrong direction, or are the same module.

    Example:
        >>> from seqmodels.cells import GRUCell, LSTMCell
        >>> layer = Bidirectional(Recurrent(GRUCell(4, 5)), Recurrent(LSTMCell(4, 6), reverse=True))
        >>> y, (forward, backward) = layer(torch.zeros(3, 7, 4))
        >>> y.shape, forward.h.shape, backward.c.shape
        (torch.Size([3, 7, 11]), torch.Size([3, 5]), torch.Size([3, 6]))
    """

    def __init__(self, forward_layer: SequenceLayer[Forward], backward_layer: SequenceLayer[Backward]) -> None:
        super().__init__()
        if forward_layer is backward_layer:
            raise ValueError(
                "forward_layer and backward_layer must be two modules, got one, which would share its weights"
            )
        if forward_layer.input_size != backward_layer.input_size:
            sizes = f"{forward_layer.input_size} and {backward_layer.input_size}"
            raise ValueError(f"forward_layer and backward_layer must read one input, got input sizes {sizes}")
        if forward_layer.backward_size != 0:
            raise ValueError("forward_layer must read forwards, got one with reverse=True")
        if backward_layer.backward_size != backward_layer.output_size:
            raise ValueError("backward_layer must read backwards, got one without reverse=True")
        self.forward_layer = forward_layer
        self.backward_layer = backward_layer
        self.input_size = forward_layer.input_size
        self.output_size = forward_layer.output_size + backward_layer.output_size
        self.backward_size = backward_layer.output_size

    def forward(
        self,
        x: Tensor,
        state: tuple[Forward, Backward] | None = None,
        lengths: Tensor | None = None,
        *,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Forward, Backward]]:
        forward_state, backward_state = states_of(state, 2, "two, forward and backward")
        forward_y, forward_state = run_layer(self.forward_layer, x, forward_state, lengths, resets)
        backward_y, backward_state = run_layer(self.backward_layer, x, backward_state, lengths, resets)
        return torch.cat([forward_y, backward_y], dim=-1), (forward_state, backward_state)
