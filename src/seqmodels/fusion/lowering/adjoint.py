"""The backward program of a step, lowered from the gradients that autograd traced.

Gradients of the inputs and of the state are rows like any others: the cotangent of a product's operand is the product's
cotangent times the transposed weight, again a product. Gradients of parameters are sums over the batch, and none is
computed in the loop: where the traced gradient of a parameter first sums over the batch (a *contraction*), the program
writes, or adds up, the rows that are summed. What the graph does with the sum is done once, after the loop, with the
sum over all steps in its place. This requires that it is linear in the sum, which is checked.

One rule decides what the forward pass stores for the backward pass: columns of the state, results of products, and of
anything more expensive than arithmetic. Arithmetic on these is recomputed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from seqmodels.fusion.builder import Builder
from seqmodels.fusion.ops import CHEAP, RECURRENT, Op
from seqmodels.fusion.program import Program, Rewriter
from seqmodels.fusion.values import Value, walk, width

AVAILABLE = frozenset({Op.STREAM, Op.VECTOR, Op.SCALAR})
"""Leaves that the backward program reads as they are."""


@dataclass(frozen=True)
class Contraction:
    """A sum over the batch: of a row, or of the products of each number of ``early`` with each of ``late``."""

    late: tuple[Value, ...]  # values side by side that depend on a cotangent
    early: tuple[Value, ...] | None  # those of the forward pass that they are multiplied with; None in a sum of rows
    flipped: bool  # whether the graph has the late numbers first


@dataclass(frozen=True)
class Gradients:
    """The values of a step's gradients: of streams and carries (None where none is wanted), and contractions."""

    streams: tuple[tuple[Value, ...] | None, ...]
    carries: tuple[tuple[Value, ...], ...]
    contractions: tuple[Contraction, ...]


@dataclass(frozen=True)
class WeightGradient:
    """A contraction of products: saved operands side by side, times columns of an output stream, over all steps."""

    operand: tuple[int, ...]  # the saved values side by side that were multiplied
    output: int  # which output stream of the backward program holds the cotangent
    start: int  # its first column there
    width: int
    flipped: bool


@dataclass(frozen=True)
class Pair:
    """Forward with what the backward pass needs, and the backward pass for the inputs that want a gradient.

    Forward outputs: the step's output, then each saved value. Backward streams: those of the forward program, the saved
    values, the output's cotangent; the first outputs of the backward program are the cotangents of ``wanted_streams``.
    ``contractions`` are in the order of the graph: a weight gradient, or the number of a total.
    """

    forward: Program
    backward: Program
    wanted_streams: tuple[int, ...]
    contractions: tuple[WeightGradient | int, ...]
    reads: frozenset[int]  # the streams that the backward program reads


def derive(plain: Program, build: Builder, gradients: Gradients) -> Pair:
    """Derive both programs from the forward program that keeps nothing and the values of the gradients."""
    forward_products = len(plain.products)
    groups = [d for d in gradients.streams if d is not None]
    heavy = [one for one in gradients.contractions if one.early is not None]
    places = {one: _place(groups, one.late) for one in heavy}
    totals = [one.late for one in gradients.contractions if one.early is None]
    used = [v for group in (*groups, *gradients.carries, *totals) for v in group]
    saved = _saved(used, build, forward_products, [piece for one in heavy for piece in one.early or ()])
    backward = _rewrite(plain, build, forward_products, saved, groups, gradients.carries, totals)
    outputs = (plain.outputs[0], *((value,) for value in saved))
    forward = Program(plain.streams, plain.carries, plain.vectors, plain.products, outputs, plain.carried)
    reads = frozenset(value.columns.source for value in backward.values() if value.op is Op.STREAM)
    numbers = iter(range(len(totals)))
    contractions = tuple(
        next(numbers)
        if one.early is None
        else WeightGradient(
            tuple(saved.index(piece) for piece in one.early), *places[one], width(one.late), one.flipped
        )
        for one in gradients.contractions
    )
    wanted = tuple(i for i, d in enumerate(gradients.streams) if d is not None)
    return Pair(forward, backward, wanted, contractions, reads)


def _place(groups: list[tuple[Value, ...]], wanted: tuple[Value, ...]) -> tuple[int, int]:
    """Return the index of a group that holds values side by side, and their first column; add one if none does."""
    for index, group in enumerate(groups):
        for start in range(len(group) - len(wanted) + 1):
            if group[start : start + len(wanted)] == wanted:
                return index, width(group[:start])
    groups.append(wanted)
    return len(groups) - 1, 0


def _saved(used: list[Value], build: Builder, forward_products: int, saved: list[Value]) -> list[Value]:
    """Return ``saved`` extended by what the backward values ``used`` need of the forward pass."""
    late = late_values(used, build, forward_products)
    kept, seen, stack = dict.fromkeys(saved), set[Value](), list(reversed(used))
    while stack:
        value = stack.pop()
        if value in seen or value in kept:
            continue
        seen.add(value)
        if value in late:
            stack += reversed(build.products[value.columns.source].operand if value.op is Op.PRODUCT else value.args)
        elif value.op in RECURRENT or (value.args and value.op not in CHEAP and value.op is not Op.SPREAD):
            kept[value] = None
        elif value.op in (Op.EQ, Op.NE):  # recomputed numbers may differ in the last bit
            kept.update((argument, None) for argument in value.args if argument.op not in AVAILABLE)
        else:
            stack += reversed(value.args)
    return list(kept)


def late_values(used: Sequence[Value], build: Builder, forward_products: int) -> set[Value]:
    """Return the values that depend on a cotangent: those of the backward pass alone."""
    late: set[Value] = set()
    for value in walk(used, build.products):
        if (
            value.op is Op.COTANGENT
            or (value.op is Op.PRODUCT and value.columns.source >= forward_products)
            or any(argument in late for argument in value.args)
        ):
            late.add(value)
    return late


def _rewrite(
    plain: Program,
    build: Builder,
    forward_products: int,
    saved: list[Value],
    groups: Sequence[tuple[Value, ...]],
    carries: Sequence[tuple[Value, ...]],
    totals: Sequence[tuple[Value, ...]],
) -> Program:
    """Return the backward program: saved values become streams, cotangents one more stream and the carries."""
    given = len(plain.streams)

    def change(rewriter: Rewriter, value: Value) -> Value | None:
        if value in places:
            return rewriter.builder.leaf(Op.STREAM, given + places[value], 0, value.width)
        if value.op is Op.COTANGENT:
            index, offset = value.columns
            if index == 0:
                return rewriter.builder.leaf(Op.STREAM, given + len(saved), offset, value.width)
            return rewriter.builder.leaf(Op.CARRY, index - 1, offset, value.width)
        if value.op is Op.PRODUCT:
            assert value.columns.source >= forward_products, "a forward product that is needed is saved"
        return None

    places = {value: index for index, value in enumerate(saved)}
    move = Rewriter(build.products, change)
    outputs, carried, summed = (move.groups(kind) for kind in (groups, carries, totals))
    streams = (*plain.streams, *(value.width for value in saved), width(plain.outputs[0]))
    products = tuple(move.builder.products)
    sizes = (streams, plain.carries, plain.vectors)
    return Program(*sizes, products, outputs, carried, summed, backwards=True)
