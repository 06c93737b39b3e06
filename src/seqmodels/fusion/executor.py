"""What runs programs."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from seqmodels.fusion.program import Program


class Executor(Protocol):
    """Runs programs on a kind of device."""

    def prepare(self, programs: Sequence[Program], dtype: torch.dtype) -> None:
        """Make programs ready that will be run in ``dtype``."""
        ...

    def run(
        self,
        program: Program,
        streams: Sequence[Tensor],
        carries: Sequence[Tensor],
        vectors: Sequence[Tensor],
        weights: Sequence[Tensor],
        lengths: Tensor | None,
        first: Tensor | None = None,
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Run a program over time.

        Args:
            program: what to run.
            streams: tensors ``(batch, time, width)``.
            carries: tensors ``(batch, width)`` before the first step (after the last, when the program runs backwards).
            vectors: tensors ``(width,)``.
            weights: matrices, as the program's products number them.
            lengths: ``(batch,)`` or None; a step past a row's length, which may be 0, is skipped: outputs 0,
                carries stand still.
            first: memory for the first output stream, when the program runs forwards; else it is made.

        Returns:
            The output streams ``(batch, time, width)``, the carries after the last step, the totals ``(width,)``.
        """
        ...

    def outer(self, operands: Sequence[Tensor], cotangent: Tensor, *, ones: bool = False) -> Tensor:
        """Return the gradient of a weight: operands, transposed, times the cotangent of their product.

        Args:
            operands: tensors ``(batch, time, width)``; their columns stand side by side.
            cotangent: ``(batch, time, columns)``.
            ones: whether a column of ones follows the operands: a bias.

        Returns:
            ``(sum of the widths, columns)``, and one row more for a bias: sums over all steps of all rows.
        """
        ...
