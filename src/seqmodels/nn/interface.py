"""The call signature of ``torch.nn``'s recurrent modules, for layers of any cell."""

import warnings
from abc import ABC, abstractmethod
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqmodels.backends import unroll
from seqmodels.cells import Cell
from seqmodels.cells.base import check_sizes
from seqmodels.layers.stack import CellFactory
from seqmodels.sequence import leaves, map_leaves
from seqmodels.system.graphs import outside_graphs

Input = TypeVar("Input", Tensor, PackedSequence)
Device = torch.device | str | int | None
USUAL = {
    "num_layers": 1,
    "nonlinearity": "tanh",
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "proj_size": 0,
    "backend": "auto",
}
"""Options that a ``repr`` leaves out."""


class RecurrentModule(nn.Module, ABC):
    """Layers of one kind of cell, in one or two directions, called as ``torch.nn``'s recurrent modules are."""

    def __init__(
        self, input_size: int, num_layers: int, batch_first: bool, dropout: float, bidirectional: bool, backend: str
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, num_layers=num_layers)
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be a probability in [0, 1], got {dropout!r}")
        for name, flag in {"batch_first": batch_first, "bidirectional": bidirectional}.items():
            if not isinstance(flag, bool):
                raise TypeError(f"{name} must be True or False, got {flag!r}")
        if dropout > 0 and num_layers == 1:
            text = f"dropout={dropout} does nothing here: it acts between layers, and num_layers is 1"
            constructors = type(self).__mro__.index(RecurrentModule) + 1  # between this line and the caller's
            warnings.warn(text, stacklevel=constructors + 1)
        self.input_size = input_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.backend = backend

    @property
    def directions(self) -> int:
        """2 for layers that also read backwards, else 1."""
        return 2 if self.bidirectional else 1

    @abstractmethod
    def bound_cell(self, index: int) -> Cell[Any]:
        """Return the cell of layer ``index // directions`` and direction ``index % directions``, with its weights."""

    def cells_from(self, cell_factory: CellFactory) -> list[Cell[Any]]:
        """Return new cells for all layers and directions, each with the input size that fits.

        Raises:
            TypeError: what ``cell_factory`` makes is not a cell.
        """
        cells: list[Cell[Any]] = []
        size = self.input_size
        for _ in range(self.num_layers):
            for _ in range(self.directions):
                cells.append(cell_factory(size))
                if not isinstance(cells[-1], Cell):
                    raise TypeError(f"cell_factory must make cells, got {type(cells[-1]).__name__}")
            size = self.directions * cells[-1].output_size
        return cells

    def flatten_parameters(self) -> None:
        """Do nothing; it is here for models written for ``torch.nn`` that call it."""

    @outside_graphs
    def run(self, input: Input, hx: Any) -> tuple[Input, Any]:
        """Run all layers from and to states of the cell's own type, each field ``(layers * directions, batch, size)``.

        Raises:
            TypeError: ``input`` or ``hx`` is of the wrong kind.
            ValueError: ``input`` or ``hx`` has the wrong shape.
        """
        if isinstance(input, PackedSequence):
            if input.data.dim() != 2 or input.data.shape[-1] != self.input_size:
                raise ValueError(f"input must hold {self.input_size} features, got data {tuple(input.data.shape)}")
            x, lengths = pad_packed_sequence(input, batch_first=True)
            y, final = self._run_padded(x, self._states(x, hx), lengths)
            if input.sorted_indices is not None:
                y, lengths = y.index_select(0, input.sorted_indices), lengths[input.sorted_indices.cpu()]
            return input._replace(data=pack_padded_sequence(y, lengths, batch_first=True).data), final
        self._check_shape(input)
        if input.dim() == 2:
            y, final = self._run_padded(input[None], self._states(input[None], hx, batched=False), None)
            return y[0], map_leaves(lambda leaf: leaf.squeeze(1), final)
        x = input if self.batch_first else input.transpose(0, 1)
        y, final = self._run_padded(x, self._states(x, hx), None)
        return (y if self.batch_first else y.transpose(0, 1)).contiguous(), final

    def _run_padded(self, x: Tensor, states: list[Any], lengths: Tensor | None) -> tuple[Tensor, Any]:
        """Run all layers over ``x (batch, time, input)``, each direction from its own state."""
        final = []
        for layer in range(self.num_layers):
            outputs = []
            for index in range(layer * self.directions, (layer + 1) * self.directions):
                cell, backwards = self.bound_cell(index), index % self.directions == 1
                y, state = unroll(cell, x, states[index], lengths=lengths, reverse=backwards, backend=self.backend)
                outputs.append(y)
                final.append(state)
            x = torch.cat(outputs, dim=-1) if self.bidirectional else outputs[0]
            if self.training and self.dropout > 0 and layer < self.num_layers - 1:
                by_time = x.transpose(0, 1).contiguous()  # torch.nn's order, in which a seed draws its masks
                x = F.dropout(by_time, self.dropout).transpose(0, 1)
        return x, map_leaves(lambda *parts: torch.stack(parts), *final)

    def _check_shape(self, input: Tensor) -> None:
        if not isinstance(input, Tensor):
            raise TypeError(f"input must be a tensor or a PackedSequence, got {type(input).__name__}")
        if input.dim() not in (2, 3) or input.shape[-1] != self.input_size:
            size = self.input_size
            shape = f"(batch, time, {size})" if self.batch_first else f"(time, batch, {size})"
            found = tuple(input.shape)
            raise ValueError(f"input must have shape {shape}, or (time, {size}) without a batch, got {found}")

    def _states(self, x: Tensor, hx: Any, *, batched: bool = True) -> list[Any]:
        """Return each layer's and direction's part of ``hx`` for ``x (batch, time, input)``."""
        rows = self.num_layers * self.directions
        if hx is None:
            return [None] * rows
        initial = self.bound_cell(0).initial_state(x.new_empty(x.shape[0], x.shape[2]))
        if not isinstance(hx, tuple) or len(leaves(hx)) != len(leaves(initial)):
            fields = ", ".join(initial._fields)
            raise TypeError(f"hx must be a {type(initial).__name__}({fields}), got {type(hx).__name__}")
        for leaf, model in zip(leaves(hx), leaves(initial), strict=True):
            shape = (rows, *model.shape[0 if batched else 1 :])
            found = tuple(leaf.shape) if isinstance(leaf, Tensor) else type(leaf).__name__
            if found != shape:
                axes = "(layers * directions, batch, size)" if batched else "(layers * directions, size)"
                raise ValueError(f"hx must have shape {shape}, {axes}, for this input, got {found}")
        return [map_leaves(lambda leaf, row=row: leaf[row] if batched else leaf[row, None], hx) for row in range(rows)]

    def extra_repr(self) -> str:
        shown = {name: getattr(self, name, usual) for name, usual in USUAL.items()}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items() if value != USUAL[name])
