"""A whole unrolled sequence as one node of autograd's graph."""

from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.fusion.adjoint import Pair
from seqmodels.fusion.plan import Executor, Plan
from seqmodels.fusion.products import InputProduct, input_gradient, unread

TWICE = "the fused back-end has no second derivatives; for a gradient of a gradient use unroll(..., backend='eager')"


class Inputs(NamedTuple):
    """What a program runs on: see :meth:`seqmodels.fusion.portable.Portable.run` for the shapes.

    ``made`` says, by its number, what a stream was computed as: the gradient then goes to that in its place. The same
    form holds whether a gradient is wanted of each tensor, and the gradients, which may be None.
    """

    streams: list[Any]
    carries: list[Any]
    vectors: list[Any]
    weights: list[Any]
    made: dict[int, Any]

    @classmethod
    def split(cls, plan: Plan, made: Iterable[int], tensors: Sequence[Any]) -> "Inputs":
        """Undo :meth:`flat`."""
        sizes = (len(plan.step.streams), len(plan.step.carries), len(plan.step.vectors), plan.step.num_weights)
        rest = iter(tensors)
        streams, carries, vectors, weights = (list(islice(rest, size)) for size in sizes)
        behind = {number: InputProduct(next(rest), next(rest), next(rest)) for number in made}
        return cls(streams, carries, vectors, weights, behind)

    def flat(self) -> list[Any]:
        behind = (tensor for product in self.made.values() for tensor in product)
        return [*self.streams, *self.carries, *self.vectors, *self.weights, *behind]


def run(
    plan: Plan, executor: Executor, inputs: Inputs, lengths: Tensor | None, y: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Run a plan over a sequence; return the output ``(batch, time, output)`` and the carries after the last steps.

    Without gradients the output is written into ``y`` where that is given.
    """
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in inputs.flat()):
        y, *carried = _Fused.apply(plan, executor, lengths, tuple(inputs.made), *inputs.flat())
        return y, carried
    (y,), carried, _ = executor.run(plan.inference, *inputs[:4], lengths, y)
    return y, carried


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, plan: Plan, executor: Executor, lengths: Tensor | None, made: tuple[int, ...], *tensors: Any
    ) -> Any:
        inputs = Inputs.split(plan, made, tensors)
        wanted = Inputs.split(plan, made, ctx.needs_input_grad[4:])
        for number, behind in wanted.made.items():
            wanted.streams[number] = any(behind)
        pair = plan.pair(*(tuple(map(bool, kind)) for kind in (wanted.streams, wanted.weights, wanted.vectors)))
        executor.prepare((pair.forward, pair.backward), inputs.streams[0].dtype)
        outputs, carried, _ = executor.run(pair.forward, *inputs[:4], lengths)
        streams = [s if i in pair.reads else unread(s) for i, s in enumerate(inputs.streams)]
        ctx.plan, ctx.pair, ctx.executor, ctx.made, ctx.num_saved = plan, pair, executor, made, len(outputs) - 1
        kept = Inputs(streams, [], inputs.vectors, inputs.weights, inputs.made)
        ctx.save_for_backward(lengths, *outputs[1:], *kept.flat())
        return (outputs[0], *carried)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *dcarries: Tensor) -> Any:
        plan, pair = ctx.plan, ctx.pair
        lengths, *rest = ctx.saved_tensors
        saved, rest = rest[: ctx.num_saved], rest[ctx.num_saved :]
        start = len(plan.step.streams)
        given = Inputs.split(plan, ctx.made, [*rest[:start], *dcarries, *rest[start:]])
        wanted = Inputs.split(plan, ctx.made, ctx.needs_input_grad[4:])
        with torch.no_grad(), torch.autocast(dy.device.type, enabled=False):
            streams = [*given.streams, *saved, dy]
            outputs, carried, totals = ctx.executor.run(
                pair.backward, streams, list(dcarries), given.vectors, given.weights, lengths
            )
            d = _nothing(plan, ctx.made)
            d.carries[:] = carried
            for index, output in zip(pair.wanted_streams, outputs, strict=False):
                d.streams[index] = output
            for index, total in zip(pair.wanted_vectors, totals, strict=True):
                d.vectors[index] = total
            _weight_gradients(ctx.executor, pair, saved, outputs, given, wanted, d)
        gradients = d.flat()
        return (None, None, None, None, *(_once(gradients) if torch.is_grad_enabled() else gradients))


def _nothing(plan: Plan, made: Sequence[int]) -> Inputs:
    """Return a place for the gradient of every input."""
    step = plan.step
    count = len(step.streams) + len(step.carries) + len(step.vectors) + step.num_weights + 3 * len(made)
    return Inputs.split(plan, made, [None] * count)


class _Sum(NamedTuple):
    """A sum over all rows: operands side by side, or ones, times columns of an output of the backward program."""

    output: int
    start: int
    end: int
    operands: list[Tensor] | None


def _weight_gradients(
    executor: Executor, pair: Pair, saved: list[Tensor], outputs: list[Tensor], given: Inputs, wanted: Inputs, d: Inputs
) -> None:
    """Fill ``d`` with the gradients of the weights and of what the streams were computed as."""
    sums = [_Sum(g.output, g.start, g.start + g.width, [saved[i] for i in g.operand]) for g in pair.weight_gradients]
    behind = {number: output for output, number in enumerate(pair.wanted_streams) if number in given.made}
    for number, output in behind.items():
        size = outputs[output].shape[-1]
        if wanted.made[number].weight:
            sums.append(_Sum(output, 0, size, [given.made[number].x]))
        if wanted.made[number].bias:
            sums.append(_Sum(output, 0, size, None))
    found = iter(_summed(executor, outputs, sums))
    for each in pair.weight_gradients:
        gradient = next(found).t() if each.transposed else next(found)
        before = d.weights[each.weight]
        d.weights[each.weight] = gradient if before is None else before + gradient
    for number, output in behind.items():
        needs = wanted.made[number]
        dx = input_gradient(outputs[output], given.made[number].weight) if needs.x else None
        dweight = next(found).t() if needs.weight else None
        d.made[number] = (dx, dweight, next(found)[0].clone() if needs.bias else None)
        d.streams[number] = None


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
