"""Fused kernels derived from a cell's ``step``: forward and backward over the whole sequence in one call each."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo  # torch.compiler.disable imports all of dynamo: a second at every start

from seqmodels.cells.base import Cell
from seqmodels.fusion.cpp.build import BuildFailed, reason
from seqmodels.fusion.cpp.executor import REALS, Cpp
from seqmodels.fusion.function import Inputs, run
from seqmodels.fusion.plan import Executor, Plan, plan_for, refusal
from seqmodels.fusion.portable import Portable
from seqmodels.fusion.products import InputProduct, RoomyLinear
from seqmodels.fusion.trace import constants
from seqmodels.memory import room
from seqmodels.sequence import at_step, leaves, map_leaves

CHUNK = 16 << 20
"""Bytes of projected input that inference holds at a time: what a last-level cache holds."""

SHORTEST = 16
"""Steps that a chunk has at least: weights are packed anew for each."""

log = logging.getLogger("seqmodels")


class Fused:
    """Runs the program traced from ``cell.step``: as compiled C++ on the CPU, else as torch operators.

    The recurrence is computed in the widest dtype among the projected input, the state and the parameters; under
    ``torch.autocast`` the input product is in the narrow dtype and the recurrence is not.
    """

    def __init__(self) -> None:
        self._portable = Portable()
        self._cpp = Cpp()
        self._told = False

    @_disable_dynamo
    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        if not torch.amp.is_autocast_available(x.device.type):
            return f"tensors on {x.device.type} cannot be computed with"
        if torch._C._functorch.maybe_current_level() is not None:
            return "transforms of torch.func need the back-end 'eager'"
        return refusal(cell, x)

    def executor(self, device: torch.device, dtype: torch.dtype) -> Executor:
        """Return what runs programs for this device and dtype."""
        if device.type != "cpu" or dtype not in REALS:
            return self._portable
        if (why := reason()) is None:
            return self._cpp
        self._tell(why)
        return self._portable

    @_disable_dynamo
    def __call__(self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
        if not torch.is_grad_enabled() and not cell.training and (steps := self._chunk(cell, x)) < x.shape[1]:
            return self._in_chunks(cell, x, state, lengths, steps)
        return self._whole(cell, x, state, lengths)

    def _whole(
        self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None, y: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        with RoomyLinear() as linear:
            wx = cell.project(x)
        plan = plan_for(cell, at_step(wx, 0), state)
        with torch.autocast(x.device.type, enabled=False):
            inputs = _inputs(cell, plan, wx, state, linear.behind)
            executor = self.executor(x.device, inputs.streams[0].dtype)
            try:
                y, final = run(plan, executor, inputs, lengths, y)
            except BuildFailed as error:
                self._tell(str(error))
                y, final = run(plan, self._portable, inputs, lengths, y)
        ends = iter(final)
        return y, map_leaves(lambda leaf: next(ends).view(leaf.shape), state)

    def _chunk(self, cell: Cell[Any], x: Tensor) -> int:
        """Return how many steps inference projects and runs at a time, so that the projected stays in the cache."""
        if x.shape[1] < 2 * SHORTEST:
            return x.shape[1]
        step = sum(leaf.numel() * leaf.element_size() for leaf in leaves(cell.project(x[:, :1])))
        size = max(SHORTEST, CHUNK // max(1, step))
        return size if 2 * size <= x.shape[1] else x.shape[1]

    def _in_chunks(
        self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None, steps: int
    ) -> tuple[Tensor, Any]:
        """Run chunk after chunk, each from the state that the one before left."""
        outputs: Tensor | None = None
        for start in range(0, x.shape[1], steps):
            piece = slice(start, min(start + steps, x.shape[1]))
            left = None if lengths is None else (lengths - start).clamp(0, piece.stop - start)
            place = None if outputs is None else outputs[:, piece]
            y, state = self._whole(cell, x[:, piece], state, left, place)
            if outputs is None:
                outputs = room((*x.shape[:2], y.shape[-1]), y)
                outputs[:, piece] = y
        assert outputs is not None
        return outputs, state

    def _tell(self, why: str) -> None:
        if not self._told:
            log.warning("fused kernels run as torch operators, not as compiled C++: %s", why)
            self._told = True


def _inputs(
    cell: Cell[Any], plan: Plan, wx: Any, state: Any, behind: Callable[[Tensor], InputProduct | None]
) -> Inputs:
    """Return what the programs run on, in one dtype, every leaf flat; ``behind`` says what a leaf was computed as."""
    hoisted = plan.step.hoisted(*constants(cell, wx))
    weights, vectors = hoisted[: plan.step.num_weights], hoisted[plan.step.num_weights :]
    streams, carries = leaves(wx), leaves(state)
    tensors = [*streams, *carries, *weights, *vectors]
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    made = {i: product for i, leaf in enumerate(streams) if leaf.dtype == dtype and (product := behind(leaf))}
    streams = [leaf.detach() if i in made else leaf for i, leaf in enumerate(streams)]
    return Inputs(
        [leaf.reshape(*leaf.shape[:2], -1).to(dtype) for leaf in streams],
        [leaf.reshape(leaf.shape[0], -1).to(dtype) for leaf in carries],
        [vector.reshape(-1).to(dtype) for vector in vectors],
        [weight.to(dtype) for weight in weights],
        made,
    )
