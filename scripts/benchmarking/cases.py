"""What is measured: cells, the kernels they are set against, shapes, wrappers, and what they must reach."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels import cells
from seqmodels.backends.fused import Fused
from seqmodels.cells import Cell
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.portable.executor import Portable


class Shape(NamedTuple):
    time: int
    batch: int
    input: int
    hidden: int

    def __str__(self) -> str:
        return ",".join(map(str, self))


SHAPES = (
    Shape(128, 32, 64, 128),
    Shape(128, 32, 256, 256),
    Shape(784, 64, 1, 128),
    Shape(100, 64, 512, 512),
    Shape(35, 20, 650, 650),
    Shape(512, 1, 64, 128),
)


class Case(NamedTuple):
    """A cell and the ``torch.nn`` layer it is set against."""

    cell: Callable[[int, int], Cell[Any]]
    peer: type[nn.RNN | nn.LSTM | nn.GRU]


CASES: dict[str, Case] = {
    "ElmanCell": Case(cells.ElmanCell, nn.RNN),
    "ElmanCell relu": Case(lambda i, h: cells.ElmanCell(i, h, activation="relu"), nn.RNN),
    "ElmanCell sigmoid": Case(lambda i, h: cells.ElmanCell(i, h, activation="sigmoid"), nn.RNN),
    "ConcatLinearCell": Case(cells.ConcatLinearCell, nn.RNN),
    "JordanCell": Case(cells.JordanCell, nn.RNN),
    "LSTMCell": Case(cells.LSTMCell, nn.LSTM),
    "NoOutputGateLSTMCell": Case(cells.NoOutputGateLSTMCell, nn.LSTM),
    "GRUCell": Case(cells.GRUCell, nn.GRU),
    "ForgetInputCell": Case(cells.ForgetInputCell, nn.LSTM),
    "ForgetInputOutputCell": Case(cells.ForgetInputOutputCell, nn.LSTM),
    "ResetAfterGRUCell": Case(cells.ResetAfterGRUCell, nn.GRU),
    "CoupledLSTMCell": Case(cells.CoupledLSTMCell, nn.LSTM),
    "PeepholeLSTMCell": Case(cells.PeepholeLSTMCell, nn.LSTM),
    "ProjectedLSTMCell": Case(cells.ProjectedLSTMCell, nn.LSTM),
    "LayerNormLSTMCell": Case(cells.LayerNormLSTMCell, nn.LSTM),
    "LayerNormGRUCell": Case(cells.LayerNormGRUCell, nn.GRU),
    "MGUCell": Case(cells.MGUCell, nn.GRU),
    "IndRNNCell": Case(cells.IndRNNCell, nn.RNN),
    "MinGRUCell": Case(cells.MinGRUCell, nn.GRU),
    "MinLSTMCell": Case(cells.MinLSTMCell, nn.LSTM),
}
ARTICLE = tuple(list(CASES)[:10])
"""The cells of introductory texts; they are measured at every shape, the others at ``FEW_SHAPES`` unless asked for."""
FEW_SHAPES = (SHAPES[0], SHAPES[1], SHAPES[5])

WRAPPERS: dict[str, Callable[[Cell[Any]], Cell[Any]]] = {
    "recurrent dropout": lambda cell: cells.RecurrentDropout(cell, 0.25),
    "zoneout": lambda cell: cells.Zoneout(cell, dict.fromkeys(_fields(cell), 0.1)),
    "weight drop": lambda cell: cells.WeightDrop(cell, 0.5),
    "layer norm": cells.RecurrentLayerNorm,
}
RAGGED = "ragged lengths"
WRAPPED_CELLS = ("LSTMCell", "GRUCell")
WRAPPED_SHAPES = (*SHAPES[:3], SHAPES[5])


def _fields(cell: Cell[Any]) -> tuple[str, ...]:
    return cell.initial_state(torch.zeros(1, cell.input_size))._fields


class Target(NamedTuple):
    """The least geometric mean over shapes of their time over ours, with ``torch`` for the layer of ``torch.nn``."""

    cells: tuple[str, ...]
    ours: str
    theirs: str
    train: float
    inference: float


TARGETS = (
    Target(("GRUCell",), "fused", "torch", 2.5, 2.0),
    Target(("ElmanCell", "ElmanCell relu", "ElmanCell sigmoid"), "fused", "torch", 2.5, 2.0),
    Target(("NoOutputGateLSTMCell", "ForgetInputCell"), "fused", "torch", 1.4, 1.1),
    Target(("LSTMCell",), "fused", "torch", 1.1, 0.9),
    Target(ARTICLE, "fused", "eager", 3.0, 2.0),
    Target(ARTICLE, "portable", "eager", 1.5, 1.2),
)
WORST = 0.7
"""No shape may be slower than this share of its opponent's speed."""
AT_MOST = {"recurrent dropout": 1.2, "zoneout": 1.2, RAGGED: 1.2, "layer norm": 1.6}
"""The most that a wrapped cell's time may be over the plain cell's."""


class PortableFused(Fused):
    """The fused back-end with torch operators where it would take compiled C++."""

    def executor(self, device: torch.device, dtype: torch.dtype) -> Executor:
        del device, dtype
        return Portable()


def ragged(shape: Shape) -> Tensor:
    """Return lengths between half of the steps and all of them, one whole sequence among them."""
    lengths = torch.randint(
        (shape.time + 1) // 2, shape.time + 1, (shape.batch,), generator=torch.Generator().manual_seed(0)
    )
    lengths[0] = shape.time
    return lengths
