"""Fused kernels derived from a cell's ``step``: forward and backward over the whole sequence in one call each."""

import copy
import logging
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo  # torch.compiler.disable imports all of dynamo: a second at every start
from torch.utils._device import DeviceContext

from seqmodels.backends.backend import Projection
from seqmodels.cells.base import Cell
from seqmodels.errors import Refused, UnsupportedContext
from seqmodels.fusion.cpp.build import BuildFailed, reason
from seqmodels.fusion.cpp.executor import REALS, Cpp
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.function import Inputs, run
from seqmodels.fusion.guards import inspect
from seqmodels.fusion.plan import Plan, check, linear_projection, plan_for
from seqmodels.fusion.portable import Portable
from seqmodels.fusion.products import InputProduct, RoomyLinear, projected
from seqmodels.fusion.tracing.aside import is_aside
from seqmodels.sequence import leaves, map_leaves
from seqmodels.system.memory import room

CHUNK = 16 << 20
"""Bytes of projected input that inference computes at a time: they fit into a last-level cache."""

SHORTEST = 16
"""The fewest steps of a chunk: weights are packed again for each chunk."""

log = logging.getLogger("seqmodels")


class Fused:
    """Runs the program traced from ``cell.step``: as compiled C++ on the CPU, else as torch operators.

    The recurrence is computed in the widest dtype among the projected input and the state; under ``torch.autocast`` the
    input product is in the narrow dtype and the recurrence is not.
    """

    def __init__(self) -> None:
        self._portable = Portable()
        self._cpp = Cpp()
        self._told = False
        self._touching: weakref.WeakSet[type] = weakref.WeakSet()  # cells whose project reads what it multiplied

    @_disable_dynamo
    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        """Return why ``cell`` cannot run, found on a copy of it; the cell itself is not changed."""
        if why := _surroundings(x):
            return why
        try:
            own = copy.deepcopy(cell, {id(one): one for one in inspect(cell).uncopied})
            with torch.random.fork_rng(devices=[], enabled=True):
                wx, state = own.project(x), own.initial_state(x[:, 0])
            self._plan(own, x, *_in_one_dtype(wx, state, torch.is_autocast_enabled(x.device.type)))
        except Refused as error:
            return str(error)
        except Exception as error:  # of the cell's own code: running the cell will raise it
            return f"its projection cannot be computed: {type(error).__name__}: {error}"
        return None

    def executor(self, device: torch.device, dtype: torch.dtype) -> Executor:
        """Return what runs programs for this device and dtype."""
        if device.type != "cpu" or dtype not in REALS:
            return self._portable
        if (why := reason()) is None:
            return self._cpp
        self._tell(why)
        return self._portable

    @_disable_dynamo
    def __call__(
        self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None, projection: Projection | None = None
    ) -> tuple[Tensor, Any]:
        if why := _surroundings(x):
            raise UnsupportedContext(why)
        if _may_be_chunked(cell, x):
            linear = linear_projection(cell, x)
            if linear is not None and (steps := _chunk(x, linear[0])) < x.shape[1]:
                return self._in_chunks(cell, x, state, lengths, linear=linear, steps=steps)
        projection = projection or Projection(cell, x)
        if type(cell) in self._touching or projection.known is not None:
            return self._run(cell, x, projection(), state, lengths)
        with RoomyLinear() as mode:
            wx = projection()
        wx = mode.settled(wx)
        if mode.touched:
            self._touching.add(type(cell))
        try:
            return self._run(cell, x, wx, state, lengths, behind=mode.behind)
        except Refused:
            projection.known = (mode.plain(wx),)
            raise

    def _plan(self, cell: Cell[Any], x: Tensor, wx: Any, state: Any) -> tuple[Plan, list[Tensor], Executor]:
        """Return the plan of a cell, checked on the executor that will run it, with its constants and that executor.

        Raises:
            Refused: the cell cannot be fused; the message says why.
        """
        with torch.autocast(x.device.type, enabled=False):
            _check_projected(wx, x)
            plan, constants = plan_for(cell, wx, state)
            executor = self.executor(x.device, plan.step.dtype)
            try:
                check(plan, cell, executor, wx, state)
            except BuildFailed as error:
                self._tell(str(error))
                executor = self._portable
                check(plan, cell, executor, wx, state)
        return plan, constants, executor

    def _run(
        self,
        cell: Cell[Any],
        x: Tensor,
        wx: Any,
        state: Any,
        lengths: Tensor | None,
        *,
        behind: Callable[[Tensor], InputProduct | None] = lambda _: None,
        y: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        given = leaves(wx)
        wx, state = _in_one_dtype(wx, state, torch.is_autocast_enabled(x.device.type))
        plan, constants, executor = self._plan(cell, x, wx, state)
        step, streams = plan.step, leaves(wx)
        pairs = zip(given, streams, strict=True)
        made = {i: it for i, (old, new) in enumerate(pairs) if old is new and (it := behind(old))}
        streams = [leaf.detach() if i in made else leaf for i, leaf in enumerate(streams)]
        with torch.autocast(x.device.type, enabled=False):
            inputs = Inputs(
                [leaf.reshape(*leaf.shape[:2], -1).to(step.dtype) for leaf in streams],
                [leaf.reshape(leaf.shape[0], -1).to(step.dtype) for leaf in leaves(state)],
                constants,
                made,
            )
            try:
                y, final = run(step, executor, inputs, lengths, y)
            except BuildFailed as error:
                self._tell(str(error))
                y, final = run(step, self._portable, inputs, lengths, y)
        ends = iter(final)
        y = y != 0 if step.output == torch.bool else y
        return y, map_leaves(lambda leaf: _of_type(next(ends).view(leaf.shape), leaf.dtype), state)

    def _in_chunks(
        self,
        cell: Cell[Any],
        x: Tensor,
        state: Any,
        lengths: Tensor | None,
        *,
        linear: tuple[Tensor, Tensor | None],
        steps: int,
    ) -> tuple[Tensor, Any]:
        """Run chunk after chunk, each from the final state of the one before."""
        outputs: Tensor | None = None
        for start in range(0, x.shape[1], steps):
            piece = slice(start, min(start + steps, x.shape[1]))
            left = None if lengths is None else (lengths - start).clamp(0, piece.stop - start)
            place = None if outputs is None else outputs[:, piece]
            wx = projected(x[:, piece], *linear)
            y, state = self._run(cell, x[:, piece], wx, state, left, y=place)
            if outputs is None:
                outputs = room((*x.shape[:2], y.shape[-1]), y)
                outputs[:, piece] = y
        assert outputs is not None
        return outputs, state

    def _tell(self, why: str) -> None:
        if not self._told:
            log.warning("fused kernels run as torch operators, not as compiled C++: %s", why)
            self._told = True


def _surroundings(x: Tensor) -> str | None:
    """Return why nothing can be fused in this context, whatever the cell; None if it can."""
    if type(x) not in (Tensor, torch.nn.Parameter):
        return f"a {type(x).__name__} in place of a tensor"
    if is_aside():
        return "a step that unrolls a cell itself is traced through the back-end 'eager'"
    if not torch.amp.is_autocast_available(x.device.type):
        return f"tensors on {x.device.type} cannot be computed with"
    if torch._C._functorch.maybe_current_level() is not None:
        return "transforms of torch.func need the back-end 'eager'"
    if torch._C._get_tracing_state() is not None or torch.compiler.is_exporting():
        return "torch.jit.trace and torch.export follow the steps of the back-end 'eager' alone"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode derivatives need the back-end 'eager'"
    count = torch._C._len_torch_function_stack()
    modes = [torch._C._get_function_stack_at(i) for i in range(count)]
    if odd := [mode for mode in modes if not isinstance(mode, DeviceContext)]:
        return f"the mode {type(odd[0]).__name__} wants to see every operator"
    if torch._C._len_torch_dispatch_stack() > 0:
        return "a dispatch mode wants to see every operator"
    return None


def _may_be_chunked(cell: Cell[Any], x: Tensor) -> bool:
    """Return whether inference may process a sequence in chunks, judging by the input."""
    alone = not torch.is_grad_enabled() and not cell.training and not torch.is_autocast_enabled(x.device.type)
    return alone and x.device.type == "cpu" and x.shape[1] >= 2 * SHORTEST


def _check_projected(wx: Any, x: Tensor) -> None:
    """Raise unless every leaf of a projection is a tensor ``(batch, time, ...)`` on the device of ``x``."""
    for leaf in leaves(wx):
        if type(leaf) not in (Tensor, torch.nn.Parameter):
            raise Refused(f"project returned a {type(leaf).__name__} among its tensors")
        if leaf.shape[:2] != x.shape[:2] or leaf.device != x.device:
            want = f"({x.shape[0]}, {x.shape[1]}, ...) on {x.device}"
            raise Refused(f"project returned a tensor {tuple(leaf.shape)} on {leaf.device}, not {want}")


def _in_one_dtype(wx: Any, state: Any, mixed: bool) -> tuple[Any, Any]:
    """Return both, under autocast converted to the widest of their dtypes."""
    tensors = [*leaves(wx), *leaves(state)]
    if odd := [leaf for leaf in tensors if not isinstance(leaf, Tensor)]:
        raise Refused(f"a {type(odd[0]).__name__} where project and the fields of a state should have tensors")
    real = [leaf.dtype for leaf in tensors if leaf.is_floating_point()]
    if not mixed or len(set(real)) < 2:
        return wx, state
    widest = real[0]
    for dtype in real[1:]:
        widest = torch.promote_types(widest, dtype)

    def widened(leaf: Tensor) -> Tensor:
        return leaf.to(widest) if leaf.is_floating_point() else leaf

    return map_leaves(widened, wx), map_leaves(widened, state)


def _chunk(x: Tensor, weight: Tensor) -> int:
    """Return how many steps inference projects and runs at a time, so that the projected input stays in the cache."""
    size = max(SHORTEST, CHUNK // max(1, x.shape[0] * weight.shape[0] * x.element_size()))
    return size if 2 * size <= x.shape[1] else x.shape[1]


def _of_type(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor != 0 if dtype == torch.bool else tensor
