"""Fused kernels derived from a cell's ``step``: forward and backward over the whole sequence in one call each."""

from typing import Any

import torch
from torch import Tensor

from seqmodels.cells.base import Cell
from seqmodels.fusion.function import Inputs, run
from seqmodels.fusion.plan import Executor, plan_for
from seqmodels.fusion.portable import Portable
from seqmodels.fusion.trace import constants
from seqmodels.sequence import at_step, leaves, map_leaves


class Fused:
    """Runs the program traced from ``cell.step``, by the best executor for the device."""

    def __init__(self, executor: Executor | None = None) -> None:
        self.executor = executor or Portable()

    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        return None

    def __call__(self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
        wx = cell.project(x)
        plan = plan_for(cell, at_step(wx, 0), state)
        hoisted = plan.step.hoisted(*constants(cell, wx))
        weights, vectors = hoisted[: plan.step.num_weights], hoisted[plan.step.num_weights :]
        streams = [leaf.reshape(*x.shape[:2], -1) for leaf in leaves(wx)]
        carries = [leaf.reshape(x.shape[0], -1) for leaf in leaves(state)]
        inputs = Inputs(streams, carries, [v.reshape(-1) for v in vectors], list(weights))
        y, final = run(plan, self.executor, inputs, lengths)
        ends = iter(final)
        return y, map_leaves(lambda leaf: next(ends).view_as(leaf), state)
