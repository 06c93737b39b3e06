"""A whole unrolled sequence as one node of autograd's graph."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.fusion.adjoint import Pair
from seqmodels.fusion.memory import outer, turned
from seqmodels.fusion.plan import Executor, Plan

TWICE = "the fused back-end has no second derivatives; for a gradient of a gradient use unroll(..., backend='eager')"


class Inputs(NamedTuple):
    """What a program runs on: see :meth:`seqmodels.fusion.portable.Portable.run` for the shapes."""

    streams: list[Tensor]
    carries: list[Tensor]
    vectors: list[Tensor]
    weights: list[Tensor]

    @classmethod
    def split(cls, plan: Plan, tensors: Sequence[Tensor]) -> "Inputs":
        """Undo :meth:`flat`."""
        sizes = (len(plan.step.streams), len(plan.step.carries), len(plan.step.vectors), plan.step.num_weights)
        parts, start = [], 0
        for size in sizes:
            parts.append(list(tensors[start : start + size]))
            start += size
        return cls(*parts)

    def flat(self) -> list[Tensor]:
        return [*self.streams, *self.carries, *self.vectors, *self.weights]


def run(plan: Plan, executor: Executor, inputs: Inputs, lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """Run a plan over a sequence; return the output ``(batch, time, output)`` and the carries after the last steps."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs.flat()):
        y, *carried = _Fused.apply(plan, executor, lengths, *inputs.flat())
        return y, carried
    (y,), carried, _ = executor.run(plan.inference, *inputs, lengths)
    return y, carried


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, executor: Executor, lengths: Tensor | None, *tensors: Tensor) -> Any:
        inputs = Inputs.split(plan, tensors)
        wanted = Inputs.split(plan, ctx.needs_input_grad[3:])
        pair = plan.pair(*(tuple(map(bool, kind)) for kind in (wanted.streams, wanted.weights, wanted.vectors)))
        executor.prepare((pair.forward, pair.backward), inputs.streams[0].dtype)
        outputs, carried, _ = executor.run(pair.forward, *inputs, lengths)
        ctx.plan, ctx.pair, ctx.executor, ctx.num_saved = plan, pair, executor, len(outputs) - 1
        ctx.save_for_backward(lengths, *inputs.streams, *inputs.vectors, *inputs.weights, *outputs[1:])
        return (outputs[0], *carried)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *dcarries: Tensor) -> Any:
        plan, pair = ctx.plan, ctx.pair
        lengths, *rest = ctx.saved_tensors
        counts = (len(plan.step.streams), len(plan.step.vectors), plan.step.num_weights, ctx.num_saved)
        streams, vectors, weights, saved = (rest[sum(counts[:i]) : sum(counts[: i + 1])] for i in range(4))
        with torch.no_grad(), torch.autocast(dy.device.type, enabled=False):
            inputs = Inputs([*streams, *saved, dy], list(dcarries), vectors, weights)
            outputs, carried, totals = ctx.executor.run(pair.backward, *inputs, lengths)
            d_streams: list[Tensor | None] = [None] * len(streams)
            for index, output in zip(pair.wanted_streams, outputs, strict=False):
                d_streams[index] = output
            d_vectors: list[Tensor | None] = [None] * len(vectors)
            for index, total in zip(pair.wanted_vectors, totals, strict=True):
                d_vectors[index] = total
            d_weights = _weight_gradients(pair, saved, outputs, len(weights))
        gradients = (*d_streams, *carried, *d_vectors, *d_weights)
        return (None, None, None, *(_once(gradients) if torch.is_grad_enabled() else gradients))


def _weight_gradients(pair: Pair, saved: list[Tensor], outputs: list[Tensor], count: int) -> list[Tensor | None]:
    """One product over all steps and rows for each product of the step."""
    found: list[Tensor | None] = [None] * count
    for each in pair.weight_gradients:
        time_first = turned(outputs[each.output])
        parts = [_flat(saved[i], time_first) for i in each.operand]
        operand = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        cotangent = _flat(outputs[each.output], time_first)[:, each.start : each.start + each.width]
        gradient = outer(operand, cotangent)
        gradient = gradient.t() if each.transposed else gradient
        before = found[each.weight]
        found[each.weight] = gradient if before is None else before + gradient
    return found


def _flat(stream: Tensor, time_first: bool) -> Tensor:
    """Return the rows of all steps ``(batch * time, width)``, in either order; no copy where they lie so."""
    return (stream.transpose(0, 1) if time_first else stream).flatten(0, 1)


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
