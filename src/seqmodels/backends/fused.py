"""Fused kernels derived from a cell's ``step``: forward and backward pass over a whole sequence in one call each."""

import copy
import logging
import weakref
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo  # torch.compiler.disable imports all of dynamo: a second at every start
from torch.utils._device import DeviceContext

from seqmodels.backends.backend import Projection
from seqmodels.cells.base import Cell
from seqmodels.errors import Refused, UnsupportedContext
from seqmodels.fusion.cpp.build import reason
from seqmodels.fusion.cpp.executor import REALS, Cpp
from seqmodels.fusion.cuda.executor import Cuda, is_for
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.function import Inputs, run
from seqmodels.fusion.guards import inspect
from seqmodels.fusion.input_projection import InterceptInputProjection, input_product
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.lowering.step import Step
from seqmodels.fusion.plan import Recognised, recognise
from seqmodels.fusion.portable.executor import Portable
from seqmodels.fusion.tracing.isolation import is_isolated
from seqmodels.sequence import leaves, map_leaves
from seqmodels.system.memory import empty_pooled

CHUNK = 16 << 20
"""Bytes of projected input that inference computes at a time: what fits a last-level cache."""

SHORTEST = 16
"""Fewest steps of a chunk: weights are packed again for each."""

log = logging.getLogger("seqmodels")


class Fused:
    """Runs the program traced from ``cell.step``: as compiled C++ on the CPU, else as torch operators.

    The recurrence is computed in the widest dtype among the projected input and the state. Under ``torch.autocast`` the
    input product is in the narrow dtype; so is the recurrence on a GPU, where sums and the state inside a kernel are in
    float32, and on the CPU it is not.
    """

    def __init__(self) -> None:
        self._portable = Portable()
        self._cpp = Cpp()
        self._cuda = Cuda()
        self._warned = False
        self._reading: weakref.WeakSet[type] = weakref.WeakSet()  # cells whose project reads its own product

    @_disable_dynamo
    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        """Return why ``cell`` cannot be fused, or None when it can.

        The programs for ``x`` are derived, and compared with the step, on a copy of the cell, which is left unchanged.
        They are kept: calls of the cell with such an input find them.
        """
        if why := _context_refusal(x):
            return why
        try:
            own = _copied(cell)
            with torch.random.fork_rng(devices=[], enabled=True):
                wx, state = own.project(x), own.initial_state(x[:, 0])
            wx, state = _in_one_dtype(wx, state, torch.is_autocast_enabled(x.device.type))
            self._planned(recognise(own), x, wx, state)
        except Refused as error:
            return str(error)
        except Exception as error:  # the cell's own: it is raised where the cell is run
            return f"its projection cannot be computed: {type(error).__name__}: {error}"
        return None

    def executor(self, device: torch.device, dtype: torch.dtype) -> Executor:
        """Return what runs programs for this device and dtype."""
        if device.type == "cuda" and is_for(dtype):
            return self._cuda
        if device.type != "cpu" or dtype not in REALS:
            return self._portable
        if (why := reason()) is None:
            return self._cpp
        self._warn(why)
        return self._portable

    @_disable_dynamo
    def __call__(
        self,
        cell: Cell[Any],
        x: Tensor,
        state: Any,
        lengths: Tensor | None,
        projection: Projection | None = None,
        *,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        if why := _context_refusal(x):
            raise UnsupportedContext(why)
        projection = projection or Projection(cell, x)
        if _may_be_chunked(cell, x):
            known = recognise(cell)
            if (linear := known.linear_projection(x)) is not None:  # and project changes nothing of the cell
                if (steps := _chunk(x, linear[0])) < x.shape[1]:
                    return self._in_chunks(known, x, state, lengths, resets=resets, linear=linear, steps=steps)
                return self._run(known, x, projection(), state, lengths, resets=resets)
        if type(cell) in self._reading or projection.known is not None:
            wx = projection()
            return self._run(recognise(cell), x, wx, state, lengths, resets=resets)
        with InterceptInputProjection() as mode:
            wx = projection()
        wx = mode.result(wx)
        if mode.was_read:
            self._reading.add(type(cell))
        try:
            return self._run(recognise(cell), x, wx, state, lengths, resets=resets, mode=mode)
        except Refused:
            projection.known = (mode.original(wx),)
            raise

    def _planned(
        self, known: Recognised, x: Tensor, wx: Any, state: Any
    ) -> tuple[Step, list[Tensor], Executor, torch.dtype]:
        """Return the programs of a cell, the constants that they take, and on what and in which dtype they may run.

        Raises:
            Refused: the cell cannot be fused; the message says why.
        """
        mixed = x.device.type == "cuda" and torch.is_autocast_enabled("cuda")
        narrow = torch.get_autocast_dtype("cuda") if mixed else None
        with torch.autocast(x.device.type, enabled=False):
            _check_projected(wx, x)
            plan, constants = known.plan(wx, state)
            executor = self.executor(x.device, dtype := narrow or plan.step.dtype)
            try:
                known.check(plan, executor, wx, state, dtype)
            except BuildFailed as error:
                self._warn(str(error))
                executor, dtype = self._portable, plan.step.dtype
                known.check(plan, executor, wx, state, dtype)
        return plan.step, constants, executor, dtype

    def _run(
        self,
        known: Recognised,
        x: Tensor,
        wx: Any,
        state: Any,
        lengths: Tensor | None,
        *,
        resets: Tensor | None,
        mode: InterceptInputProjection | None = None,
        restart: Any = None,
        y: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Run the programs on what ``project`` returned; ``mode`` knows how that was computed.

        Without gradients rows are reset to the state ``restart``, and the output is written into ``y``, where given.
        """
        given = leaves(wx)
        wx, state = _in_one_dtype(wx, state, torch.is_autocast_enabled(x.device.type))
        step, constants, executor, dtype = self._planned(known, x, wx, state)
        streams = leaves(wx) if dtype == step.dtype else given
        products = {
            i: origin
            for i, (old, new) in enumerate(zip(given, streams, strict=True))
            if mode is not None and old is new and new.dtype == dtype and (origin := mode.origin(new)) is not None
        }
        streams = [leaf.detach() if i in products else leaf for i, leaf in enumerate(streams)]
        with torch.autocast(x.device.type, enabled=False):
            inputs = Inputs(
                [leaf.reshape(*leaf.shape[:2], -1).to(dtype) for leaf in streams],
                _carries(state, dtype),
                constants,
                products,
            )
            again = None if restart is None else _carries(restart, dtype)
            try:
                y, final = run(step, executor, inputs, lengths, resets, restart=again, y=y)
            except BuildFailed as error:
                self._warn(str(error))
                y, final = run(step, self._portable, inputs, lengths, resets, restart=again, y=y)
        ends = iter(final)
        y = y != 0 if step.output == torch.bool else y
        return y, map_leaves(lambda leaf: _of_type(next(ends).view(leaf.shape), leaf.dtype), state)

    def _in_chunks(
        self,
        known: Recognised,
        x: Tensor,
        state: Any,
        lengths: Tensor | None,
        *,
        resets: Tensor | None,
        linear: tuple[Tensor, Tensor | None],
        steps: int,
    ) -> tuple[Tensor, Any]:
        """Run chunk after chunk, each from the final state of the one before."""
        outputs: Tensor | None = None
        initial = state
        for start in range(0, x.shape[1], steps):
            piece = slice(start, min(start + steps, x.shape[1]))
            left = None if lengths is None else (lengths - start).clamp(0, piece.stop - start)
            place = None if outputs is None else outputs[:, piece]
            wx = input_product(x[:, piece], *linear)
            anew = None if resets is None else resets[:, piece]
            y, state = self._run(known, x[:, piece], wx, state, left, resets=anew, restart=initial, y=place)
            if outputs is None:
                outputs = empty_pooled((*x.shape[:2], y.shape[-1]), y)
                outputs[:, piece] = y
        assert outputs is not None
        return outputs, state

    def _warn(self, why: str) -> None:
        if not self._warned:
            log.warning("fused kernels run as torch operators, not as compiled C++: %s", why)
            self._warned = True


def _copied(cell: Cell[Any]) -> Cell[Any]:
    """Return a deep copy of a cell, whose weights may be results of other ones, as those of ``spectral_norm`` are."""
    found = inspect(cell)
    memo: dict[int, Any] = {id(one): one for one in found.uncopied}
    results = [tensor for tensor in found.tensors if not tensor.is_leaf]
    memo |= {id(tensor): tensor.detach().clone().requires_grad_() for tensor in results}
    return copy.deepcopy(cell, memo)


def _context_refusal(x: Tensor) -> str | None:
    """Return why no cell can be fused where this is called, or for such an x; None where it can."""
    if type(x) not in (Tensor, torch.nn.Parameter):
        return f"a {type(x).__name__} in place of a tensor"
    if is_isolated():
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
    """Return whether inference may run chunk by chunk, as far as the input tells."""
    inference = not torch.is_grad_enabled() and not cell.training and not torch.is_autocast_enabled(x.device.type)
    return inference and x.device.type == "cpu" and x.shape[1] >= 2 * SHORTEST


def _check_projected(wx: Any, x: Tensor) -> None:
    """Raise unless every leaf of a projection is a tensor ``(batch, time, ...)`` on the device of ``x``."""
    for leaf in leaves(wx):
        if type(leaf) not in (Tensor, torch.nn.Parameter):
            raise Refused(f"project returned a {type(leaf).__name__} among its tensors")
        if leaf.shape[:2] != x.shape[:2] or leaf.device != x.device:
            want = f"({x.shape[0]}, {x.shape[1]}, ...) on {x.device}"
            raise Refused(f"project returned a tensor {tuple(leaf.shape)} on {leaf.device}, not {want}")


def _in_one_dtype(wx: Any, state: Any, mixed: bool) -> tuple[Any, Any]:
    """Return a projection and a state in the widest of their types where autocast mixes them."""
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


def _carries(state: Any, dtype: torch.dtype) -> list[Tensor]:
    """Return the leaves of a state as carries ``(batch, width)`` of a program."""
    return [leaf.reshape(leaf.shape[0], -1).to(dtype) for leaf in leaves(state)]


def _chunk(x: Tensor, weight: Tensor) -> int:
    """Return how many steps inference projects and runs at a time, so that the projection stays in the cache."""
    size = max(SHORTEST, CHUNK // max(1, x.shape[0] * weight.shape[0] * x.element_size()))
    return size if 2 * size <= x.shape[1] else x.shape[1]


def _of_type(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor != 0 if dtype == torch.bool else tensor
