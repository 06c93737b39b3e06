"""From a traced graph of ATen operators to values: shapes become runs of columns, operators become pointwise values.

A state-dependent tensor ``(batch, ...)`` is held as a :class:`Row`: its shape without the batch, and pieces side by
side that cover its columns in order. Splitting, slicing, stacking and reshaping only regroup pieces; what remains is
pointwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch

from seqmodels.fusion.values import Builder, Value

Piece = tuple[Value, int]
"""A value and the number of columns it covers: its width, or any number for a value of width 1."""


class Refused(ValueError):
    """A step that cannot be expressed as products, sums along a row and pointwise operators; the message says why."""


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
    """Spread a row over a shape, as torch would with the batch in front."""
    own = (1,) * (len(shape) - len(one.shape)) + one.shape
    if own == shape:
        return Row(shape, one.pieces)
    if any(a not in (1, b) for a, b in zip(own, shape, strict=True)):
        raise Refused(f"shapes {one.shape} and {shape} do not fit")
    pieces: list[Piece] = []
    if own[-1] == 1 and shape[-1] > 1:  # numbers spread over the last dimension
        spans = [(cut(builder, one.pieces, i, 1)[0][0], shape[-1]) for i in range(prod(own[:-1]))]
        return broadcast(builder, Row((*own[:-1], shape[-1]), tuple(spans)), shape)
    for index in range(prod(shape[:-1])):
        source, stride, rest = 0, 1, index
        for size, target in zip(reversed(own[:-1]), reversed(shape[:-1]), strict=True):
            source += (rest % target) * stride if size > 1 else 0
            rest, stride = rest // target, stride * size
        pieces += cut(builder, one.pieces, source * shape[-1], shape[-1])
    return Row(shape, tuple(pieces))


def pointwise(builder: Builder, op: str, rows: Sequence[Row]) -> Row:
    """Apply an operator to rows, spread to one shape and cut at one another's boundaries."""
    shape = tuple(torch.broadcast_shapes(*(r.shape for r in rows)))
    spread = [broadcast(builder, r, shape) for r in rows]
    pieces: list[Piece] = []
    for start, width in intervals(spread):
        args = [cut(builder, r.pieces, start, width)[0][0] for r in spread]
        pieces.append((builder.apply(op, *args), width))
    return Row(shape, tuple(pieces))


def intervals(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Return (start, width) of the common refinement of the rows' pieces."""
    bounds = {0}
    for r in rows:
        position = 0
        for _, span in r.pieces:
            position += span
            bounds.add(position)
    ordered = sorted(bounds)
    return [(a, b - a) for a, b in pairwise(ordered)]


def reshape(one: Row, shape: Sequence[int]) -> Row:
    """Give a row another shape; a -1 is worked out."""
    sizes = list(shape)
    if -1 in sizes:
        known = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = one.width // known
    if prod(sizes) != one.width:
        raise Refused(f"a view mixes the batch with the features: {one.shape} to {tuple(sizes)}")
    return Row(tuple(sizes), one.pieces)


def narrow(builder: Builder, one: Row, dim: int, start: int, length: int) -> Row:
    """Take ``length`` entries of dimension ``dim`` (the batch not counted) from ``start``."""
    inner, outer = prod(one.shape[dim + 1 :]), prod(one.shape[:dim])
    size = one.shape[dim]
    pieces: list[Piece] = []
    for index in range(outer):
        pieces += cut(builder, one.pieces, (index * size + start) * inner, length * inner)
    return Row((*one.shape[:dim], length, *one.shape[dim + 1 :]), tuple(pieces))


def concatenate(builder: Builder, rows: Sequence[Row], dim: int) -> Row:
    """Join rows along dimension ``dim`` (the batch not counted)."""
    pieces: list[Piece] = []
    for index in range(prod(rows[0].shape[:dim])):
        for r in rows:
            block = prod(r.shape[dim:])
            pieces += cut(builder, r.pieces, index * block, block)
    size = sum(r.shape[dim] for r in rows)
    return Row((*rows[0].shape[:dim], size, *rows[0].shape[dim + 1 :]), tuple(pieces))


def reduction(builder: Builder, op: str, one: Row, *, keepdim: bool) -> Row:
    """Take the "sum" or the "amax" over the last dimension."""
    size, join = one.shape[-1], "add" if op == "sum" else "maximum"
    pieces: list[Piece] = []
    for index in range(prod(one.shape[:-1])):
        parts = []
        for value, span in cut(builder, one.pieces, index * size, size):
            if value.width == 1:
                many = op == "sum" and span > 1
                parts.append(builder.apply("mul", value, builder.scalar(span)) if many else value)
            else:
                parts.append(builder.reduce(op, value))
        whole = parts[0]
        for part in parts[1:]:
            whole = builder.apply(join, whole, part)
        pieces.append((whole, 1))
    return Row((*one.shape[:-1], 1) if keepdim else one.shape[:-1], tuple(pieces))


def as_number(builder: Builder, one: Row) -> Row:
    """Turn truth values into 0 and 1, where they meet arithmetic."""
    zero, unit = builder.scalar(0.0), builder.scalar(1.0)
    truths = {"gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not"}
    return Row(
        one.shape,
        tuple((builder.apply("where", v, unit, zero) if v.op in truths else v, span) for v, span in one.pieces),
    )


def scale(builder: Builder, one: Row, factor: float) -> Row:
    """Multiply a row by a number."""
    return one if factor == 1 else pointwise(builder, "mul", [one, row(builder.scalar(factor))])
