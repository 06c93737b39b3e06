"""Sums, and the largest and smallest numbers, along the dimensions of a row."""

from collections.abc import Sequence
from math import prod

from seqmodels.fusion.builder import Builder
from seqmodels.fusion.lowering.moves import settle, start
from seqmodels.fusion.lowering.rows import Piece, Row, cut, pointwise
from seqmodels.fusion.ops import Op

JOINS = {Op.SUM: Op.ADD, Op.AMAX: Op.MAXIMUM, Op.AMIN: Op.MINIMUM}


def reduction(builder: Builder, op: Op, one: Row, dims: Sequence[int], *, keepdim: bool = False) -> Row:
    """Reduce some dimensions of a row, the batch not counted."""
    sizes = one.shape
    for dim in sorted(dims, reverse=True):
        one = _over_last(builder, op, one) if dim == len(one.shape) - 1 else _over(builder, op, one, dim)
    return Row(tuple(1 if d in dims else s for d, s in enumerate(sizes)), one.pieces) if keepdim else one


def _over_last(builder: Builder, op: Op, one: Row) -> Row:
    size = one.shape[-1]
    pieces: list[Piece] = []
    for index in range(prod(one.shape[:-1])):
        parts = []
        for value, span in cut(builder, one.pieces, index * size, size):
            if value.width == 1:
                many = op is Op.SUM and span > 1
                parts.append(builder.apply(Op.MUL, value, builder.scalar(span)) if many else value)
            else:
                parts.append(builder.reduce(op, value))
        whole = parts[0]
        for part in parts[1:]:
            whole = builder.apply(JOINS[op], whole, part)
        pieces.append((whole, 1))
    return Row(one.shape[:-1], tuple(pieces))


def _over(builder: Builder, op: Op, one: Row, dim: int) -> Row:
    """Reduce a dimension that is not the last."""
    moved = start(one, batched=True)
    parts = [moved._replace(places=moved.places.select(dim + 1, i)) for i in range(one.shape[dim])]
    whole = settle(builder, parts[0])
    for part in parts[1:]:
        whole = pointwise(builder, JOINS[op], [whole, settle(builder, part)])
    return whole
