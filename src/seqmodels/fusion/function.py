"""A whole unrolled sequence as one node of autograd's graph."""

from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.fusion.executor import Executor
from seqmodels.fusion.products import InputProduct, input_gradient, unread
from seqmodels.fusion.tracing.adjoint import Pair
from seqmodels.fusion.tracing.step import Step

TWICE = "the fused back-end has no second derivatives; for a gradient of a gradient use unroll(..., backend='eager')"


class Inputs(NamedTuple):
    """What a step's programs run on, streams ``(batch, time, width)`` and carries ``(batch, width)`` in one dtype.

    ``constants`` are as the step was traced with them. ``made`` says, by its number, what a stream was computed as: the
    gradient then goes to that in its place. The same form holds whether a gradient is wanted of each tensor, and the
    gradients, which may be None.
    """

    streams: list[Any]
    carries: list[Any]
    constants: list[Any]
    made: dict[int, Any]

    @classmethod
    def split(cls, step: Step, made: Iterable[int], tensors: Sequence[Any]) -> "Inputs":
        """Undo :meth:`flat`."""
        rest = iter(tensors)
        sizes = (len(step.streams), len(step.carries), len(step.constants))
        streams, carries, constants = (list(islice(rest, size)) for size in sizes)
        behind = {number: InputProduct(next(rest), next(rest), next(rest)) for number in made}
        return cls(streams, carries, constants, behind)

    def flat(self) -> list[Any]:
        behind = (tensor for product in self.made.values() for tensor in product)
        return [*self.streams, *self.carries, *self.constants, *behind]


def run(
    step: Step, executor: Executor, inputs: Inputs, lengths: Tensor | None, y: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Run a step over a sequence; return the output ``(batch, time, output)`` and the carries after the last steps.

    Without gradients the output is written into ``y`` where that is given.
    """
    if step.pair is not None and torch.is_grad_enabled():
        y, *carried = _Fused.apply(step, executor, lengths, tuple(inputs.made), *inputs.flat())
        return y, carried
    with torch.no_grad():
        weights, vectors = _hoisted(step, inputs)
        outputs, carried, _ = executor.run(step.forward, inputs.streams, inputs.carries, vectors, weights, lengths, y)
    return outputs[0], carried


def _hoisted(step: Step, inputs: Inputs) -> tuple[list[Tensor], list[Tensor]]:
    """Compute the weights and vectors of a step from its constants."""
    dtype = inputs.streams[0].dtype
    found = step.hoisted(*inputs.constants)
    weights, vectors = found[: step.num_weights], found[step.num_weights :]
    return [weight.to(dtype) for weight in weights], [vector.reshape(-1).to(dtype) for vector in vectors]


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, step: Step, executor: Executor, lengths: Tensor | None, made: tuple[int, ...], *tensors: Any
    ) -> Any:
        assert step.pair is not None, "a step is run with gradients only if it was traced with them"
        inputs, pair = Inputs.split(step, made, tensors), step.pair
        weights, vectors = _hoisted(step, inputs)
        executor.prepare((pair.forward, pair.backward), inputs.streams[0].dtype)
        outputs, carried, _ = executor.run(pair.forward, inputs.streams, inputs.carries, vectors, weights, lengths)
        streams = [s if i in pair.reads else unread(s) for i, s in enumerate(inputs.streams)]
        ctx.step, ctx.executor, ctx.made = step, executor, made
        ctx.counts = (len(outputs) - 1, len(weights), len(vectors))
        kept = Inputs(streams, [], inputs.constants, inputs.made)
        ctx.save_for_backward(lengths, *outputs[1:], *weights, *vectors, *kept.flat())
        return (outputs[0], *carried)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *dcarries: Tensor) -> Any:
        step: Step = ctx.step
        assert step.pair is not None
        lengths, *tensors = ctx.saved_tensors
        rest = iter(tensors)
        saved, weights, vectors = (list(islice(rest, count)) for count in ctx.counts)
        left = list(rest)
        start = len(step.streams)
        given = Inputs.split(step, ctx.made, [*left[:start], *dcarries, *left[start:]])
        wanted = Inputs.split(step, ctx.made, ctx.needs_input_grad[4:])
        with torch.no_grad(), torch.autocast(dy.device.type, enabled=False):
            streams = [*given.streams, *saved, dy]
            outputs, carried, totals = ctx.executor.run(
                step.pair.backward, streams, list(dcarries), vectors, weights, lengths
            )
            d = Inputs.split(step, ctx.made, [None] * (len(left) + len(dcarries)))
            d.carries[:] = carried
            for index, output in zip(step.pair.wanted_streams, outputs, strict=False):
                d.streams[index] = output
            _constant_gradients(step, ctx.executor, saved, outputs, totals, given, wanted, d)
        gradients = [one if needed else None for one, needed in zip(d.flat(), wanted.flat(), strict=True)]
        return (None, None, None, None, *(_once(gradients) if torch.is_grad_enabled() else gradients))


class _Sum(NamedTuple):
    """A sum over all rows: operands side by side, or ones, times columns of an output of the backward program."""

    output: int
    start: int
    end: int
    operands: list[Tensor] | None


def _constant_gradients(
    step: Step,
    executor: Executor,
    saved: list[Tensor],
    outputs: list[Tensor],
    totals: list[Tensor],
    given: Inputs,
    wanted: Inputs,
    d: Inputs,
) -> None:
    """Fill ``d`` with the gradients of the constants and of what the streams were computed as."""
    pair = step.pair
    assert pair is not None
    assert step.epilogue is not None
    heavy = [one for one in pair.contractions if not isinstance(one, int)]
    sums = [_Sum(g.output, g.start, g.start + g.width, [saved[i] for i in g.operand]) for g in heavy]
    behind = _behind(pair, outputs, given, wanted, sums)
    found = iter(_summed(executor, outputs, sums))
    whole = []
    for contraction, shape in zip(pair.contractions, step.sums, strict=True):
        if isinstance(contraction, int):
            whole.append(totals[contraction].view(shape))
        else:
            product = next(found)
            whole.append(product.t() if contraction.flipped else product)
    d.constants[:] = step.epilogue(*given.constants, *whole)
    for number, output in behind.items():
        needs = wanted.made[number]
        dx = input_gradient(outputs[output], given.made[number].weight) if needs.x else None
        dweight = next(found).t() if needs.weight else None
        d.made[number] = InputProduct(dx, dweight, next(found)[0].clone() if needs.bias else None)  # type: ignore[arg-type]
        d.streams[number] = None


def _behind(pair: Pair, outputs: list[Tensor], given: Inputs, wanted: Inputs, sums: list[_Sum]) -> dict[int, int]:
    """Return, for the streams whose product the gradient goes to, the output with it; add the sums it takes."""
    behind = {number: output for output, number in enumerate(pair.wanted_streams) if number in given.made}
    for number, output in behind.items():
        size = outputs[output].shape[-1]
        if wanted.made[number].weight:
            sums.append(_Sum(output, 0, size, [given.made[number].x]))
        if wanted.made[number].bias:
            sums.append(_Sum(output, 0, size, None))
    return behind


def _summed(executor: Executor, outputs: list[Tensor], sums: list[_Sum]) -> list[Tensor]:
    """Return sums ``(width of the operands, end - start)``; columns that several have in common are read once."""
    parts: list[list[Tensor]] = [[] for _ in sums]
    for number, output in enumerate(outputs):
        mine = [i for i, each in enumerate(sums) if each.output == number]
        edges = sorted({edge for i in mine for edge in (sums[i].start, sums[i].end)})
        for start, end in pairwise(edges):
            here = [i for i in mine if sums[i].start <= start and end <= sums[i].end]
            here.sort(key=lambda i: sums[i].operands is None)  # ones come last
            operands = [operand for i in here for operand in sums[i].operands or []]
            ones = any(sums[i].operands is None for i in here)
            made = executor.outer(operands, output[..., start:end], ones=ones)
            sizes = [sum(o.shape[-1] for o in sums[i].operands or []) or 1 for i in here]
            for i, part in zip(here, made.split(sizes), strict=True):
                parts[i].append(part)
    return [part[0] if len(part) == 1 else torch.cat(part, -1) for part in parts]


class _Once(torch.autograd.Function):
    """Passes gradients on, and refuses in words to be differentiated itself."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *gradients: Tensor) -> Any:
        del ctx, anchor  # the anchor asks for a gradient, so that the results do
        return tuple(gradient.view_as(gradient) for gradient in gradients)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        del ctx
        raise RuntimeError(TWICE)


def _once(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    given = [gradient for gradient in gradients if gradient is not None]
    guarded = iter(_Once.apply(torch.zeros((), requires_grad=True), *given))
    return [None if gradient is None else next(guarded) for gradient in gradients]
