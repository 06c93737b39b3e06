"""Fused kernels derived from a cell's ``step``: forward and backward pass over a whole sequence in one call each."""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._device import DeviceContext

from seqmodels.backends.backend import Projection
from seqmodels.backends.in_graph import transform_refusal, unroll_in_graph
from seqmodels.backends.rows import carries, check_projected, either, in_one_dtype, of_type, streams
from seqmodels.cells.base import Cell
from seqmodels.errors import Refused, UnsupportedContext
from seqmodels.fusion.choice import checked_on, executor_for, portable_instead
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.function import Inputs, run, without_autocast
from seqmodels.fusion.guards import copied
from seqmodels.fusion.input_projection import InterceptInputProjection, input_product
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.lowering.step import Step
from seqmodels.fusion.plan import Recognised, recognise
from seqmodels.fusion.tracing.isolation import is_isolated
from seqmodels.sequence import leaves, map_leaves
from seqmodels.system.graphs import outside_graphs
from seqmodels.system.memory import empty_pooled

CHUNK = 16 << 20
"""Bytes of projected input that inference computes at a time: what fits a last-level cache."""

SHORTEST = 16
"""Fewest steps of a chunk: weights are packed again for each."""


class Fused:
    """Runs the program traced from ``cell.step``: as compiled C++ on the CPU, else as torch operators.

    The recurrence is computed in the widest dtype among the projected input and the state. Under ``torch.autocast`` the
    input product is in the narrow dtype; so is the recurrence on a GPU, where sums and the state inside a kernel are in
    float32, and on the CPU it is not.
    """

    def __init__(self) -> None:
        self._reading: weakref.WeakSet[type] = weakref.WeakSet()  # cells whose project reads its own product

    @outside_graphs
    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        """Return why ``cell`` cannot be fused, or None when it can.

        The programs for ``x`` are derived, and compared with the step, on a copy of the cell, which is left unchanged.
        They are kept: calls of the cell with such an input find them.
        """
        if why := _context_refusal(x):
            return why
        try:
            own = copied(cell)
            with torch.random.fork_rng(devices=[], enabled=True):
                wx, state = own.project(x), own.initial_state(x[:, 0])
            wx, state, _ = in_one_dtype(wx, state, None, mixed=torch.is_autocast_enabled(x.device.type))
            self._planned(recognise(own), x, wx, state)
        except Refused as error:
            return str(error)
        except Exception as error:  # the cell's own: it is raised where the cell is run
            return f"its projection cannot be computed: {type(error).__name__}: {error}"
        return None

    def executor(self, device: torch.device, dtype: torch.dtype) -> Executor:
        """Return what runs programs for this device and dtype."""
        return executor_for(device, dtype)

    def __call__(
        self,
        cell: Cell[Any],
        x: Tensor,
        state: Any,
        lengths: Tensor | None,
        projection: Projection | None = None,
        *,
        resets: Tensor | None = None,
        restart: Any = None,
    ) -> tuple[Tensor, Any]:
        projection = projection or Projection(cell, x)
        if torch.compiler.is_compiling():
            return unroll_in_graph(cell, x, state, projection, lengths=lengths, resets=resets, restart=restart)
        return self._unrolled(cell, x, state, projection, lengths=lengths, resets=resets, restart=restart)

    @outside_graphs
    def _unrolled(
        self,
        cell: Cell[Any],
        x: Tensor,
        state: Any,
        projection: Projection,
        *,
        lengths: Tensor | None,
        resets: Tensor | None,
        restart: Any,
    ) -> tuple[Tensor, Any]:
        """Run a cell where ``torch.compile`` does not look."""
        if why := _context_refusal(x):
            raise UnsupportedContext(why)
        if _may_be_chunked(cell, x):
            known = recognise(cell)
            if (linear := known.linear_projection(x)) is not None:  # and project changes nothing of the cell
                if (steps := _chunk(x, linear[0])) < x.shape[1]:
                    return self._in_chunks(
                        known, x, state, lengths, resets=resets, restart=restart, linear=linear, steps=steps
                    )
                return self._run(known, x, projection(), state, lengths, resets=resets, restart=restart)
        if type(cell) in self._reading or projection.known is not None or x.device.type != "cpu":
            wx = projection()
            return self._run(recognise(cell), x, wx, state, lengths, resets=resets, restart=restart)
        with InterceptInputProjection() as mode:
            wx = projection()
        wx = mode.result(wx)
        if mode.was_read:
            self._reading.add(type(cell))
        try:
            return self._run(recognise(cell), x, wx, state, lengths, resets=resets, restart=restart, mode=mode)
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
        with without_autocast(x.device):
            check_projected(wx, x)
            plan, constants = known.plan(wx, state)
            first = self.executor(x.device, dtype := narrow or plan.step.dtype)
            executor, dtype = checked_on(known, plan, wx, state, first=first, dtype=dtype)
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
        restart: Any,
        mode: InterceptInputProjection | None = None,
        y: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Run the programs on what ``project`` returned; ``mode`` knows how that was computed.

        Without gradients the output is written into ``y``, where given.
        """
        given = leaves(wx)
        wx, state, restart = in_one_dtype(wx, state, restart, mixed=torch.is_autocast_enabled(x.device.type))
        step, constants, executor, dtype = self._planned(known, x, wx, either(state, restart))
        projected = leaves(wx) if dtype == step.dtype else given
        products = {
            i: origin
            for i, (old, new) in enumerate(zip(given, projected, strict=True))
            if mode is not None and old is new and new.dtype == dtype and (origin := mode.origin(new)) is not None
        }
        projected = [leaf.detach() if i in products else leaf for i, leaf in enumerate(projected)]
        with without_autocast(x.device):
            inputs = Inputs(
                streams(projected, dtype),
                carries(state, dtype),
                carries(restart, dtype),
                constants,
                products,
            )
            try:
                y, final = run(step, executor, inputs, lengths, resets, y=y)
            except BuildFailed as error:
                y, final = run(step, portable_instead(error), inputs, lengths, resets, y=y)
        ends = iter(final)
        y = y != 0 if step.output == torch.bool else y
        return y, map_leaves(lambda leaf: of_type(next(ends).view(leaf.shape), leaf.dtype), state)

    def _in_chunks(
        self,
        known: Recognised,
        x: Tensor,
        state: Any,
        lengths: Tensor | None,
        *,
        resets: Tensor | None,
        restart: Any,
        linear: tuple[Tensor, Tensor | None],
        steps: int,
    ) -> tuple[Tensor, Any]:
        """Run chunk after chunk, each from the final state of the one before."""
        outputs: Tensor | None = None
        for start in range(0, x.shape[1], steps):
            piece = slice(start, min(start + steps, x.shape[1]))
            left = None if lengths is None else (lengths - start).clamp(0, piece.stop - start)
            place = None if outputs is None else outputs[:, piece]
            wx = input_product(x[:, piece], *linear)
            flags = None if resets is None else resets[:, piece]
            y, state = self._run(known, x[:, piece], wx, state, left, resets=flags, restart=restart, y=place)
            if outputs is None:
                outputs = empty_pooled((*x.shape[:2], y.shape[-1]), y)
                outputs[:, piece] = y
        assert outputs is not None
        return outputs, state


def _context_refusal(x: Tensor) -> str | None:
    """Return why no cell can be fused where this is called, or for such an x; None where it can."""
    if type(x) not in (Tensor, torch.nn.Parameter):
        return f"a {type(x).__name__} in place of a tensor"
    if is_isolated():
        return "a step that unrolls a cell itself is traced through the back-end 'eager'"
    if not torch.amp.is_autocast_available(x.device.type):
        return f"tensors on {x.device.type} cannot be computed with"
    if why := transform_refusal():
        return why
    if torch._C._get_tracing_state() is not None:
        return "torch.jit.trace follows the steps of the back-end 'eager' alone"
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


def _chunk(x: Tensor, weight: Tensor) -> int:
    """Return how many steps inference projects and runs at a time, so that the projection stays in the cache."""
    size = max(SHORTEST, CHUNK // max(1, x.shape[0] * weight.shape[0] * x.element_size()))
    return size if 2 * size <= x.shape[1] else x.shape[1]
