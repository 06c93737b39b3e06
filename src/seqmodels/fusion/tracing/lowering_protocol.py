"""What the parts of the lowering ask of the whole."""

from typing import Any, Protocol

from torch import Tensor, fx

from seqmodels.fusion.tracing.moves import Moved
from seqmodels.fusion.tracing.rows import Row
from seqmodels.fusion.values import Builder


class Lowering(Protocol):
    """What is asked of :class:`~seqmodels.fusion.tracing.lowering.Lower`; its methods say more there."""

    builder: Builder
    batch: int
    grain: int
    known: dict[fx.Node, Any]

    def __call__(self, argument: Any) -> Row: ...

    def number(self, argument: Any) -> Row: ...

    def transposed(self, node: fx.Node) -> Row: ...

    def moved(self, node: fx.Node) -> Moved: ...

    def literal(self, node: fx.Node) -> Tensor | None: ...

    def weight_of(self, node: Any) -> tuple[int, bool] | None: ...
