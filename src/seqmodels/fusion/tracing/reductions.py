"""Sums, means and the largest and least numbers along the dimensions of a row."""

from collections.abc import Sequence
from math import prod

from seqmodels.fusion.tracing.moves import settle, start
from seqmodels.fusion.tracing.rows import Piece, Row, cut, pointwise, scale
from seqmodels.fusion.values import Builder

JOINS = {"sum": "add", "amax": "maximum", "amin": "minimum"}


def _over_last(builder: Builder, op: str, one: Row) -> Row:
    size = one.shape[-1]
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
            whole = builder.apply(JOINS[op], whole, part)
        pieces.append((whole, 1))
    return Row(one.shape[:-1], tuple(pieces))


def reduction(builder: Builder, op: str, one: Row, dims: Sequence[int], *, keepdim: bool = False) -> Row:
    """Take the "sum", "mean", "amax", "amin", "any" or "all" over some dimensions, the batch not counted."""
    sizes, name = one.shape, {"mean": "sum", "any": "amax", "all": "amin"}.get(op, op)
    for dim in sorted(dims, reverse=True):
        one = _over_last(builder, name, one) if dim == len(one.shape) - 1 else _over(builder, name, one, dim)
    if op == "mean":
        one = scale(builder, one, 1 / prod(sizes[dim] for dim in dims))
    return Row(tuple(1 if d in dims else s for d, s in enumerate(sizes)), one.pieces) if keepdim else one


def _over(builder: Builder, op: str, one: Row, dim: int) -> Row:
    """Join what stands at each place of a dimension that is not the last."""
    moved = start(one, batched=True)
    parts = [moved._replace(places=moved.places.select(dim + 1, i)) for i in range(one.shape[dim])]
    whole = settle(builder, parts[0])
    for part in parts[1:]:
        whole = pointwise(builder, JOINS[op], [whole, settle(builder, part)])
    return whole
