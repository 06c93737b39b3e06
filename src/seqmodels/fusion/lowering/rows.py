"""Tensors ``(batch, ...)`` as rows of values.

A :class:`Row` is a tensor's shape without the batch, and pieces side by side that cover its columns in order.
Splitting, slicing, stacking and reshaping only regroup pieces (``moves.py``); what remains is pointwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch

from seqmodels.errors import Refused
from seqmodels.fusion.builder import Builder
from seqmodels.fusion.ops import TRUTHS, Op
from seqmodels.fusion.values import Value

Piece = tuple[Value, int]
"""A value and the number of columns it covers: its width, or any number for a value of width 1."""


@dataclass(frozen=True)
class Row:
    """A tensor ``(batch, *shape)`` as pieces that cover its columns."""

    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]

    @property
    def width(self) -> int:
        return prod(self.shape)


def row(value: Value, span: int | None = None) -> Row:
    """Return a row of one value."""
    span = value.width if span is None else span
    return Row((span,), ((value, span),))


def cut(builder: Builder, pieces: Sequence[Piece], start: int, width: int) -> list[Piece]:
    """Return the pieces that cover columns ``start … start + width``."""
    found: list[Piece] = []
    for value, span in pieces:
        first, last = max(start, 0), min(start + width, span)
        if first < last:
            found.append((builder.cut(value, first, last - first), last - first))
        start -= span
    return found


def broadcast(builder: Builder, one: Row, shape: tuple[int, ...]) -> Row:
    """Broadcast a row to a shape, as torch does with the batch in front."""
    own = (1,) * (len(shape) - len(one.shape)) + one.shape
    if own == shape:
        return Row(shape, one.pieces)
    if any(a not in (1, b) for a, b in zip(own, shape, strict=True)):
        raise Refused(f"shapes {one.shape} and {shape} do not fit")
    pieces: list[Piece] = []
    if own[-1] == 1 and shape[-1] > 1:  # broadcast along the last dimension
        spans = [(cut(builder, one.pieces, i, 1)[0][0], shape[-1]) for i in range(prod(own[:-1]))]
        return broadcast(builder, Row((*own[:-1], shape[-1]), tuple(spans)), shape)
    for index in range(prod(shape[:-1])):
        source, stride, rest = 0, 1, index
        for size, target in zip(reversed(own[:-1]), reversed(shape[:-1]), strict=True):
            source += (rest % target) * stride if size > 1 else 0
            rest, stride = rest // target, stride * size
        pieces += cut(builder, one.pieces, source * shape[-1], shape[-1])
    return Row(shape, tuple(pieces))


def pointwise(builder: Builder, op: Op, rows: Sequence[Row]) -> Row:
    """Apply an operator to rows, broadcast to one shape and cut at the boundaries of all their pieces."""
    shape = tuple(torch.broadcast_shapes(*(r.shape for r in rows)))
    spread = [broadcast(builder, r, shape) for r in rows]
    pieces: list[Piece] = []
    for start, width in intervals(spread):
        args = [cut(builder, r.pieces, start, width)[0][0] for r in spread]
        pieces.append((builder.apply(op, *args), width))
    return Row(shape, tuple(pieces))


def intervals(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Return (start, width) of the intervals between the boundaries of all pieces."""
    bounds = {0}
    for r in rows:
        position = 0
        for _, span in r.pieces:
            position += span
            bounds.add(position)
    ordered = sorted(bounds)
    return [(a, b - a) for a, b in pairwise(ordered)]


def spread_pieces(builder: Builder, pieces: Sequence[Piece]) -> list[Value]:
    """Return pieces as values of the widths that they cover."""
    return [builder.spread(value, span) for value, span in pieces]


def as_number(builder: Builder, one: Row) -> Row:
    """Return a row with its truth values as 0 and 1."""
    zero, unit = builder.scalar(0.0), builder.scalar(1.0)
    numbers = ((builder.apply(Op.WHERE, v, unit, zero) if v.op in TRUTHS else v, span) for v, span in one.pieces)
    return Row(one.shape, tuple(numbers))


def as_truth(builder: Builder, one: Row) -> Row:
    """Return a row as truth values: whether its numbers are not 0."""
    zero = builder.scalar(0.0)
    truths = ((v if v.op in TRUTHS else builder.apply(Op.NE, v, zero), span) for v, span in one.pieces)
    return Row(one.shape, tuple(truths))


def logical(builder: Builder, op: Op, left: Row, right: Row) -> Row:
    """Apply ``AND``, ``OR``, ``XOR`` or ``EQ`` to truth values; constants among them are eliminated."""
    if op is Op.EQ:
        return negation(builder, logical(builder, Op.XOR, left, right))
    result = pointwise(builder, op, [left, right])
    return Row(result.shape, tuple((_simplified(builder, value), span) for value, span in result.pieces))


def negation(builder: Builder, one: Row) -> Row:
    """Return the logical negation of a row."""
    return logical(builder, Op.XOR, one, Row((), ((builder.scalar(1.0), 1),)))


def _simplified(builder: Builder, value: Value) -> Value:
    """Return a logical value without a constant argument."""
    numbers = [a.number if a.op is Op.SCALAR else None for a in value.args]
    if value.op not in (Op.AND, Op.OR, Op.XOR) or numbers == [None, None]:
        return value
    number, other = next((n, value.args[1 - i]) for i, n in enumerate(numbers) if n is not None)
    if value.op is Op.XOR:
        return builder.apply(Op.NOT, other) if number else other
    keeps = bool(number) == (value.op is Op.AND)
    return other if keeps else builder.scalar(float(number))


def without_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with which a constant is broadcast to rows: (1, size) is treated as (size,)."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def scale(builder: Builder, one: Row, factor: float) -> Row:
    """Multiply a row by a number."""
    number = Row((), ((builder.scalar(factor), 1),))
    return one if factor == 1 else pointwise(builder, Op.MUL, [one, number])
