"""What the parts of the lowering need of the whole."""

from typing import Protocol

from torch import Tensor, fx
from torch.fx.node import Argument

from seqmodels.fusion.builder import Builder
from seqmodels.fusion.lowering.moves import Found, Moved
from seqmodels.fusion.lowering.rows import Row


class Lowering(Protocol):
    """What is needed of :class:`~seqmodels.fusion.lowering.lower.Lower`, where the methods are documented."""

    builder: Builder
    batch: int
    gate_width: int
    known: dict[fx.Node, Found]

    def __call__(self, argument: Argument) -> Row: ...

    def number(self, argument: Argument) -> Row: ...

    def transposed(self, node: fx.Node) -> Row: ...

    def moved(self, node: fx.Node) -> Moved: ...

    def literal(self, node: fx.Node, /) -> Tensor | None: ...

    def weight_of(self, node: fx.Node, /) -> tuple[int, bool] | None: ...
