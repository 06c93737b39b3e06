"""Any cell behind the interface of ``torch.nn``'s recurrent modules."""

from functools import partial
from typing import Any

import torch
from torch import nn

from seqmodels.cells import Cell
from seqmodels.cells.wrappers.wrapper import example_input
from seqmodels.layers.stack import CellFactory
from seqmodels.nn.interface import Device, Input, RecurrentModule
from seqmodels.sequence import leaves


class Layer(RecurrentModule):
    """Layers of any cell, one of your own or a wrapped one, with the interface of ``torch.nn.LSTM``.

    Args:
        cell_factory: makes a cell from an input size, and a ``hidden_size`` where one is given: a cell class, say.
        input_size: features of a step.
        hidden_size: passed on to ``cell_factory``, unless that knows it already.
        num_layers: layers, each reading the outputs of the one below.
        batch_first: whether inputs and outputs are ``(batch, time, features)`` instead of ``(time, batch, features)``.
        dropout: probability of zeroing an output of each layer but the last, in training.
        bidirectional: whether each layer has a second cell that reads backwards.
        device: where the parameters lie.
        dtype: the parameters' type.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Raises:
        ValueError: a size or a probability is out of range, or the states of two layers differ in size.
        TypeError: ``cell_factory`` makes no cell, or a flag is neither True nor False.

    Example:
        >>> from seqmodels.cells import MGUCell
        >>> layer = Layer(MGUCell, 4, 5, num_layers=2)
        >>> output, state = layer(torch.randn(7, 3, 4))
        >>> output.shape, state.h.shape
        (torch.Size([7, 3, 5]), torch.Size([2, 3, 5]))
    """

    def __init__(
        self,
        cell_factory: CellFactory,
        input_size: int,
        hidden_size: int | None = None,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        super().__init__(input_size, num_layers, batch_first, dropout, bidirectional, backend)
        cells = self.cells_from(cell_factory if hidden_size is None else partial(cell_factory, hidden_size=hidden_size))
        sizes = [[tuple(leaf.shape[1:]) for leaf in leaves(cell.initial_state(example_input(cell)))] for cell in cells]
        if any(size != sizes[0] for size in sizes):
            raise ValueError(f"the states of all layers must have the same sizes to be one tensor, got {sizes}")
        self.cells = nn.ModuleList(cells).to(device=device, dtype=dtype)
        """One cell for each layer and direction, forward before backward."""

    def bound_cell(self, index: int) -> Cell[Any]:
        cell: Any = self.cells[index]
        return cell

    def forward(self, input: Input, hx: Any = None) -> tuple[Input, Any]:
        """Return the outputs of the last layer, and the final states of all layers.

        Args:
            input: as in :meth:`LSTM.forward`.
            hx: the initial state, a ``NamedTuple`` as the cell's ``initial_state`` returns, but with tensors
                ``(layers * directions, batch, size)``; the initial states of the cells unless given.

        Raises:
            TypeError: an argument is of the wrong kind or dtype.
            ValueError: an argument has the wrong shape.
        """
        return self.run(input, hx)
