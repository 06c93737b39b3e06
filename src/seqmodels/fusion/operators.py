"""A whole unrolled sequence as one operator of torch's, which compiled, exported and distributed models hold.

``torch.ops.seqmodels.recurrence`` runs the forward program of a step, and ``recurrence_backward`` is its derivative.
Both take the step as text (``written.py``), so that a graph holds all that it needs: another process only has to import
this module before it loads one. Calls outside of graphs go through ``function.py``, which costs less and shares memory
with its caller; the computation is the same.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from seqmodels.fusion.choice import executor_for, portable_instead
from seqmodels.fusion.executor import Arguments
from seqmodels.fusion.function import NO_SECOND_DERIVATIVE, Call, Inputs, gradients_of, hoisted, without_autocast
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.layout import placeholder
from seqmodels.fusion.lowering.adjoint import Pair
from seqmodels.fusion.lowering.step import Step
from seqmodels.fusion.values import width
from seqmodels.fusion.written import Calls, read
from seqmodels.sequence import usable_lengths


@torch.library.custom_op(
    "seqmodels::recurrence",
    mutates_args=(),
    schema="(str step, Tensor[] streams, Tensor[] carries, Tensor[] restarts, Tensor[] constants, Tensor? lengths,"
    " Tensor? resets) -> Tensor[]",
)
def recurrence(
    step: str,
    streams: Sequence[Tensor],
    carries: Sequence[Tensor],
    restarts: Sequence[Tensor],
    constants: Sequence[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
) -> list[Tensor]:
    """Run a step over a sequence.

    Args:
        step: the step's programs, as :func:`~seqmodels.fusion.written.written` writes them.
        streams: ``(batch, time, width)``.
        carries: the state before the first step, ``(batch, width)`` each.
        restarts: with resets, the state that they go back to, ``(batch, width)`` each; else empty.
        constants: the tensors that the step was traced with.
        lengths: as in :class:`~seqmodels.fusion.executor.Arguments`.
        resets: likewise.

    Raises:
        ValueError: a tensor is not of the shape or dtype that the step was written for, or a length not in [1, time].

    Returns:
        The output ``(batch, time, output)``, the carries after the last steps, and what a backward program reads if the
        step has one; all contiguous.
    """
    known = read(step)
    program = known.forward if known.pair is None else known.pair.forward
    batch, time = _sizes("streams", streams)
    _check("streams", streams, [(batch, time, size) for size in program.streams], known.dtype)
    _check("carries", carries, [(batch, size) for size in program.carries], known.dtype)
    expected = [] if resets is None else [(batch, size) for size in program.carries]
    _check("restarts", restarts, expected, known.dtype)
    _check("constants", constants, [leaf.shape for leaf in known.constants])
    lengths = _checked_lengths(lengths, streams[0])
    _check("resets", [] if resets is None else [resets], [] if resets is None else [(batch, time)], torch.bool)
    with torch.no_grad(), without_autocast(streams[0].device):
        given = Inputs([*streams], [*carries], [*restarts], [*constants], {})
        weights, vectors = hoisted(known, given)
        arguments = Arguments(streams, carries, vectors, weights, lengths, resets, restarts, apart=True)
        executor = executor_for(streams[0].device, known.dtype)
        try:
            if known.pair is not None:
                executor.prepare((known.pair.forward, known.pair.backward), arguments)
            results = executor.run(program, arguments)
        except BuildFailed as error:
            results = portable_instead(error).run(program, arguments)
    y, *kept = results.outputs
    return _apart([y, *results.carries, *kept], [*streams, *carries, *restarts, *constants])


@recurrence.register_fake
def _(
    step: str,
    streams: Sequence[Tensor],
    carries: Sequence[Tensor],
    restarts: Sequence[Tensor],
    constants: Sequence[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
) -> list[Tensor]:
    del restarts, constants, lengths, resets
    known, like = read(step), streams[0]
    program = known.forward if known.pair is None else known.pair.forward
    y, *kept = (like.new_empty(*like.shape[:2], width(group)) for group in program.outputs)
    return [y, *(torch.empty_like(one, memory_format=torch.contiguous_format) for one in carries), *kept]


@torch.library.custom_op(
    "seqmodels::recurrence_backward",
    mutates_args=(),
    schema="(str step, Tensor[] streams, Tensor[] constants, Tensor[] kept, Tensor dy, Tensor[] dcarries,"
    " Tensor? lengths, Tensor? resets) -> Tensor[]",
)
def recurrence_backward(
    step: str,
    streams: Sequence[Tensor],
    constants: Sequence[Tensor],
    kept: Sequence[Tensor],
    dy: Tensor,
    dcarries: Sequence[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
) -> list[Tensor]:
    """Return the gradients of the inputs of :func:`recurrence`.

    Args:
        step: as it was given there.
        streams: those of the streams there that the backward program reads.
        constants: as they were given there.
        kept: what :func:`recurrence` returned for this.
        dy: gradient of the output, ``(batch, time, output)``.
        dcarries: gradients of the carries after the last steps, ``(batch, width)`` each.
        lengths: as they were given there.
        resets: likewise.

    Returns:
        The gradients of those streams and constants that want one, and of all carries and restarts: streams, carries,
        restarts, constants.
    """
    known = read(step)
    pair = _pair(known)
    batch, time = _sizes("dy", [dy])
    read_ones = [size for i, size in enumerate(pair.forward.streams) if i in pair.reads]
    _check("streams", streams, [(batch, time, size) for size in read_ones], known.dtype)
    _check("constants", constants, [leaf.shape for leaf in known.constants])
    cotangent, *sizes = (width(group) for group in pair.forward.outputs)
    _check("kept and dy", [*kept, dy], [(batch, time, size) for size in (*sizes, cotangent)], known.dtype)
    _check("dcarries", dcarries, [(batch, size) for size in pair.backward.carries], known.dtype)
    lengths = _checked_lengths(lengths, dy)
    executor = executor_for(dy.device, known.dtype)
    with torch.no_grad(), without_autocast(dy.device):
        rest, one = iter(streams), dy.new_empty(1)
        every = [
            next(rest) if i in pair.reads else placeholder(one.expand(batch, time, size))
            for i, size in enumerate(pair.forward.streams)
        ]
        given = Inputs(every, [], [], [*constants], {})
        weights, vectors = hoisted(known, given)
        arguments = Arguments([*every, *kept, dy], dcarries, vectors, weights, lengths, resets)
        try:
            results = executor.run(pair.backward, arguments)
        except BuildFailed as error:
            executor = portable_instead(error)
            results = executor.run(pair.backward, arguments)
        found = gradients_of(Call(known, pair, executor, ()), given, Inputs([], [], [], [], {}), [*kept], results)
    wanted = (one for one in found.flat() if one is not None)
    return _apart(wanted, [*streams, *constants, *kept, dy, *dcarries])


@recurrence_backward.register_fake
def _(
    step: str,
    streams: Sequence[Tensor],
    constants: Sequence[Tensor],
    kept: Sequence[Tensor],
    dy: Tensor,
    dcarries: Sequence[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
) -> list[Tensor]:
    del streams, kept, lengths
    known = read(step)
    pair = _pair(known)
    dstreams = [dy.new_empty(*dy.shape[:2], pair.forward.streams[i]) for i in pair.wanted_streams]
    given = zip(_wanted_constants(known), constants, strict=True)
    drestarts = [] if resets is None else dcarries
    like = [*dcarries, *drestarts, *(constant for wanted, constant in given if wanted)]
    return [*dstreams, *(torch.empty_like(one, memory_format=torch.contiguous_format) for one in like)]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    step, streams, carries, _, constants, lengths, resets = inputs
    known = read(step)
    if known.pair is None:
        return
    kept = output[1 + len(carries) :]
    ctx.mark_non_differentiable(*kept)
    ctx.set_materialize_grads(False)  # of what is kept there would be as much again
    ctx.step, ctx.ends = step, [(one.shape, one.dtype, one.device) for one in output[: 1 + len(carries)]]
    ctx.save_for_backward(
        lengths, resets, *(s for i, s in enumerate(streams) if i in known.pair.reads), *constants, *kept
    )


def _differentiate(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Any, ...]:
    if not hasattr(ctx, "step"):
        raise RuntimeError("this recurrence was written for inference alone: it has no derivative")
    known = read(ctx.step)
    pair = _pair(known)
    lengths, resets, *saved = ctx.saved_tensors
    rest, count = iter(saved), sum(i in pair.reads for i in range(len(known.streams)))
    streams, constants = list(islice(rest, count)), list(islice(rest, len(known.constants)))
    dy, *dcarries = (
        torch.zeros(shape, dtype=dtype, device=device) if grad is None else grad
        for grad, (shape, dtype, device) in zip(grads, ctx.ends, strict=False)
    )
    found = iter(recurrence_backward(ctx.step, streams, constants, [*rest], dy, dcarries, lengths, resets))
    wanted_streams = [i in pair.wanted_streams for i in range(len(known.streams))]
    carries = [True] * len(known.carries)
    wanted = [wanted_streams, carries, [] if resets is None else carries, _wanted_constants(known)]
    groups = ([next(found) if needed else None for needed in group] for group in wanted)
    return (None, *groups, None, None)


def _refuse(ctx: Any, *_: Any) -> None:
    del ctx
    raise RuntimeError(NO_SECOND_DERIVATIVE)


recurrence.register_autograd(_differentiate, setup_context=_keep)
recurrence_backward.register_autograd(_refuse)


def _pair(step: Step) -> Pair:
    if step.pair is None:
        raise RuntimeError("this recurrence was written for inference alone: it has no derivative")
    return step.pair


def _wanted_constants(step: Step) -> list[bool]:
    """Return of which constants the epilogue computes a gradient."""
    assert isinstance(step.epilogue, Calls)
    return [place is not None for place in step.epilogue.results]


def _sizes(name: str, tensors: Sequence[Tensor]) -> tuple[int, int]:
    """Return batch and time."""
    if not tensors or tensors[0].dim() != 3 or 0 in tensors[0].shape:
        raise ValueError(f"{name} must be tensors (batch, time, width), got {[tuple(one.shape) for one in tensors]}")
    return tensors[0].shape[0], tensors[0].shape[1]


def _check(
    name: str, tensors: Sequence[Tensor], shapes: Sequence[tuple[int, ...]], dtype: torch.dtype | None = None
) -> None:
    """Raise unless tensors are what kernels, which look at nothing but addresses, will take them for."""
    found = [tuple(one.shape) for one in tensors]
    if found != [*map(tuple, shapes)]:
        raise ValueError(f"{name} must have the shapes {[*map(tuple, shapes)]} for this step, got {found}")
    if odd := [one.dtype for one in tensors if dtype not in (None, one.dtype)]:
        raise ValueError(f"{name} must be {dtype} for this step, got {odd[0]}")


def _checked_lengths(lengths: Tensor | None, x: Tensor) -> Tensor | None:
    """Return lengths, None if all rows are known to be full; a graph could not look at their values before."""
    if lengths is None:
        return None
    _check("lengths", [lengths], [(x.shape[0],)], torch.int64)
    lengths = usable_lengths(lengths, x)
    return None if x.device.type == "cpu" and int(lengths.min()) == x.shape[1] else lengths


def _apart(tensors: Iterable[Tensor], given: Iterable[Tensor]) -> list[Tensor]:
    """Return results contiguous and each in memory of its own, as torch requires of an operator."""
    taken = {one.untyped_storage().data_ptr() for one in given}
    found = []
    for tensor in tensors:
        place = tensor.untyped_storage().data_ptr()
        own = tensor.is_contiguous() and place not in taken
        found.append(tensor if own else tensor.clone(memory_format=torch.contiguous_format))
        taken.add(place)
    return found
