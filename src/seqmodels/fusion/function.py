"""A whole unrolled sequence as one node of autograd's graph."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from seqmodels.fusion.executor import Arguments, Executor, Results
from seqmodels.fusion.input_projection import InputProduct, input_gradient
from seqmodels.fusion.layout import placeholder
from seqmodels.fusion.lowering.adjoint import Pair
from seqmodels.fusion.lowering.step import Step

NO_SECOND_DERIVATIVE = (
    "the fused back-end has no second derivatives; for a gradient of a gradient use unroll(..., backend='eager')"
)
T = TypeVar("T")


class Inputs(NamedTuple, Generic[T]):
    """What the programs of a step run on. The same form holds the gradients, and whether each of them is needed."""

    streams: list[T]  # (batch, time, width), in one dtype with the carries
    carries: list[T]  # (batch, width)
    restarts: list[T]  # the state that resets go back to; none without resets
    constants: list[T]  # as the step was traced with them
    products: dict[int, InputProduct[T]]  # by number, how a stream was computed; the gradient then goes to that

    @classmethod
    def split(cls, step: Step, numbers: Iterable[int], leaves: Iterable[T], *, resets: bool) -> "Inputs[T]":
        """Undo :meth:`flat`; ``numbers`` are the streams whose products are known."""
        rest = iter(leaves)
        count = len(step.carries)
        sizes = (len(step.streams), count, count if resets else 0, len(step.constants))
        streams, carries, restarts, constants = (list(islice(rest, size)) for size in sizes)
        products = {i: InputProduct(next(rest), next(rest), next(rest)) for i in numbers}
        return Inputs(streams, carries, restarts, constants, products)

    def flat(self) -> list[T | None]:
        """Return everything in one list."""
        products = [one for product in self.products.values() for one in product]
        return [*self.streams, *self.carries, *self.restarts, *self.constants, *products]


def run(
    step: Step,
    executor: Executor,
    inputs: Inputs[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None = None,
    *,
    y: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Run a step over a sequence; return the output ``(batch, time, output)`` and the carries after the last steps.

    Without gradients the output is written into ``y``, where it is given.
    """
    if step.pair is not None and torch.is_grad_enabled():
        call = Call(step, step.pair, executor, tuple(inputs.products))
        y, *carried = _Fused.apply(call, lengths, resets, _anchor(step.pair, inputs), *inputs.flat())
        return y, carried
    with torch.no_grad():
        weights, vectors = hoisted(step, inputs)
        arguments = Arguments(inputs.streams, inputs.carries, vectors, weights, lengths, resets, inputs.restarts, y)
        results = executor.run(step.forward, arguments)
    return results.outputs[0], results.carries


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which autocast changes no operator; entering torch's own costs as much as an operator."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


def hoisted(step: Step, inputs: Inputs[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Compute the weights and vectors of a step from its constants."""
    dtype = inputs.streams[0].dtype
    found = step.hoisted(*inputs.constants)
    weights, vectors = found[: step.num_weights], found[step.num_weights :]
    return [weight.to(dtype) for weight in weights], [vector.reshape(-1).to(dtype) for vector in vectors]


def _anchor(pair: Pair, inputs: Inputs[Tensor]) -> Tensor | None:
    """Return an empty tensor that depends on those inputs with gradients which are not saved, or None.

    Autograd's graph then leads from a gradient to every input, and differentiating it again meets :class:`_Once`.
    """
    streams = [s for i, s in enumerate(inputs.streams) if i not in pair.reads and i not in inputs.products]
    found = [tensor[:0].flatten() for tensor in (*streams, *inputs.carries, *inputs.restarts) if tensor.requires_grad]
    return torch.cat(found) if found else None


@dataclass(frozen=True)
class Call:
    """What a forward pass and its backward pass have in common, tensors aside."""

    step: Step
    pair: Pair
    executor: Executor
    products: tuple[int, ...]  # the streams whose products are known


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, call: Call, lengths: Tensor | None, resets: Tensor | None, anchor: Tensor | None, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        inputs, pair = Inputs.split(call.step, call.products, tensors, resets=resets is not None), call.pair
        weights, vectors = hoisted(call.step, inputs)
        arguments = Arguments(inputs.streams, inputs.carries, vectors, weights, lengths, resets, inputs.restarts)
        call.executor.prepare((pair.forward, pair.backward), arguments)
        outputs, carried, *_ = call.executor.run(pair.forward, arguments)
        ctx.call = call
        streams = [s if i in pair.reads else placeholder(s) for i, s in enumerate(inputs.streams)]
        kept = Inputs(streams, [], [], inputs.constants, inputs.products)
        ctx.save_for_backward(lengths, resets, anchor, *outputs[1:], *weights, *vectors, *kept.flat())
        return (outputs[0], *carried)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *dcarries: Tensor) -> tuple[Tensor | None, ...]:
        call: Call = ctx.call
        step, pair = call.step, call.pair
        lengths, resets, anchor, *tensors = ctx.saved_tensors
        rest = iter(tensors)
        counts = len(pair.forward.outputs) - 1, step.num_weights, len(pair.forward.vectors), len(step.streams)
        saved, weights, vectors, streams = (list(islice(rest, count)) for count in counts)
        given = Inputs.split(step, call.products, [*streams, *dcarries, *rest], resets=False)
        needs = ctx.needs_input_grad[4:]
        wanted: Inputs[bool] = Inputs.split(step, call.products, needs, resets=resets is not None)
        with torch.no_grad(), without_autocast(dy.device):
            arguments = Arguments([*streams, *saved, dy], dcarries, vectors, weights, lengths, resets)
            found = gradients_of(call, given, wanted, saved, call.executor.run(pair.backward, arguments))
        gradients = [one if needed else None for one, needed in zip(found.flat(), wanted.flat(), strict=True)]
        if torch.is_grad_enabled():  # they may be differentiated again
            gradients = _once([dy, anchor, *given.flat()], gradients)
        return (None, None, None, None, *gradients)


class _RowSum(NamedTuple):
    """A sum over all rows: operands side by side, or ones, times columns of an output of the backward program."""

    output: int
    start: int
    end: int
    operands: list[Tensor] | None


def gradients_of(
    call: Call,
    given: Inputs[Tensor],
    wanted: Inputs[bool],
    saved: list[Tensor],
    results: Results,
) -> Inputs[Tensor | None]:
    """Return the gradients of all inputs from what the backward program returned."""
    step, pair, outputs = call.step, call.pair, results.outputs
    assert step.epilogue is not None
    sums = [
        _RowSum(one.output, one.start, one.start + one.width, [saved[i] for i in one.operand])
        for one in pair.contractions
        if not isinstance(one, int)
    ]
    streams: list[Tensor | None] = [None] * len(given.streams)
    for output, number in enumerate(pair.wanted_streams):
        if number not in given.products:
            streams[number] = outputs[output]
            continue
        size = outputs[output].shape[-1]
        if wanted.products[number].weight:
            sums.append(_RowSum(output, 0, size, [given.products[number].x]))
        if wanted.products[number].bias:
            sums.append(_RowSum(output, 0, size, None))
    found = iter(_row_sums(call.executor, outputs, sums))
    whole = []
    for contraction, shape in zip(pair.contractions, step.sums, strict=True):
        if isinstance(contraction, int):
            whole.append(results.totals[contraction].view(shape))
        else:
            product = next(found)
            whole.append(product.t() if contraction.flipped else product)
    products = dict.fromkeys(given.products, InputProduct[Tensor | None](None, None, None))
    for output, number in enumerate(pair.wanted_streams):
        if number in products:
            needs = wanted.products[number]
            dx = input_gradient(outputs[output], given.products[number].weight) if needs.x else None
            dweight = next(found).t() if needs.weight else None
            products[number] = InputProduct(dx, dweight, next(found)[0].clone() if needs.bias else None)
    return Inputs(
        streams, [*results.carries], [*results.restarts], [*step.epilogue(*given.constants, *whole)], products
    )


def _row_sums(executor: Executor, outputs: list[Tensor], sums: list[_RowSum]) -> list[Tensor]:
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
            product = executor.outer(operands, output[..., start:end], ones=ones)
            sizes = [sum(o.shape[-1] for o in sums[i].operands or []) or 1 for i in here]
            for i, part in zip(here, product.split(sizes) if len(here) > 1 else [product], strict=True):
                parts[i].append(part)
    return [part[0] if len(part) == 1 else torch.cat(part, -1) for part in parts]


class _Once(torch.autograd.Function):
    """Passes gradients on, and raises where they are differentiated in turn."""

    @staticmethod
    def forward(ctx: Any, origins: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        del ctx
        return tuple(gradient.view_as(gradient) for gradient in tensors[origins:])

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> None:
        del ctx
        raise RuntimeError(NO_SECOND_DERIVATIVE)


def _once(origins: Sequence[Tensor | None], gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return gradients that raise where they are differentiated by one of the tensors that they depend on."""
    known = [origin for origin in origins if origin is not None and origin.requires_grad]
    given = [gradient for gradient in gradients if gradient is not None]
    guarded = iter(_Once.apply(len(known), *known, *given))
    return [None if gradient is None else next(guarded) for gradient in gradients]
