"""Operators that only move numbers: slices, views, flips, padding, index lists, and their derivatives.

None of them is described here. Each is run by PyTorch on the *indices* of the numbers: a tensor of two rows whose
entries name a column of a source, or 0 for a zero that an operator inserts. The result shows where every number went,
for any operator and any chain of them, and its second row shows whether the operator keeps the rows of the batch apart.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.errors import Refused
from seqmodels.fusion.builder import Builder
from seqmodels.fusion.lowering.rows import Piece, Row, cut, spread_pieces

RUNS = 32
"""Most runs of adjacent columns that a moved row may consist of; more are gathered by one ``select``."""

Source = tuple[Row, bool]
"""A row, and whether it has a batch dimension (a vector, the same for all rows, has none)."""


class Moved(NamedTuple):
    """A tensor whose numbers come from sources: ``places`` has its shape, with a batch of 2.

    Entries number the columns of all sources from 1 on, and those of the second row of the batch from ``1 + total`` on;
    0 stands for a zero.
    """

    sources: tuple[Source, ...]
    places: Tensor

    @property
    def total(self) -> int:
        return sum(row.width for row, _ in self.sources)


Found = Row | Moved | list[Moved]
"""What a node is lowered to; several results are a list."""


def start(source: Row, *, batched: bool) -> Moved:
    """Return a row whose numbers are where they were."""
    index = torch.arange(1, source.width + 1).view(source.shape)
    if batched:
        index = torch.stack([index, index + source.width])
    return Moved(((source, batched),), index)


def move(call: Callable[..., Any], args: Any, kwargs: Any, batch: int) -> Moved | list[Moved]:
    """Run an operator on indices.

    Args:
        call: the operator.
        args: its arguments, with :class:`Moved` in place of tensors and ``batch`` as the size of the batch.
        kwargs: its keyword arguments, likewise.
        batch: the size that the batch was traced with.

    Raises:
        Refused: the operator fails for another size of the batch.
    """
    found: list[Moved] = []
    _map(lambda one: found.append(one) if isinstance(one, Moved) else None, [args, kwargs])
    sources = [source for one in found for source in one.sources]
    total = sum(row.width for row, _ in sources)
    before = 0

    def with_indices(one: Any) -> Any:
        nonlocal before
        if not isinstance(one, Moved):
            return 2 if type(one) is int and one == batch else one
        second = one.places > one.total
        rebased = torch.where(second, one.places - one.total + total, one.places) + before
        before += one.total
        return torch.where(one.places == 0, 0, rebased)

    try:
        result = call(*_map(with_indices, args), **_map(with_indices, kwargs))
    except (RuntimeError, IndexError, TypeError) as error:
        raise Refused(f"the operator mixes the batch with the features: {str(error).splitlines()[0]}") from None
    kept = tuple(sources)
    return [Moved(kept, one) for one in result] if isinstance(result, list | tuple) else Moved(kept, result)


def settle(builder: Builder, moved: Moved) -> Row:
    """Return moved numbers as a row.

    Raises:
        Refused: a row of the batch holds numbers of another one.
    """
    index, total = moved.places, moved.total
    if index.dim() == 0 or index.shape[0] != 2:
        raise Refused("an operator along the batch: a row may not see the others")
    first, second = index.reshape(2, -1)
    if bool((first > total).any()):
        raise Refused("an operator along the batch: a row may not see the others")
    owned = torch.cat([torch.full((row.width,), total * batched) for row, batched in moved.sources] or [first])
    shift = torch.where(first == 0, 0, owned[(first - 1).clamp_min(0)] if total else 0)
    if not torch.equal(second, first + shift):
        raise Refused("an operator along the batch: a row may not see the others")
    pieces = [piece for row, _ in moved.sources for piece in row.pieces]
    return Row(tuple(index.shape[1:]), tuple(_gather(builder, pieces, first.tolist())))


def layers(base: Moved, index: Any, values: Moved) -> list[Moved]:
    """Split a scatter-add of values into places into several, each with at most one value per place."""
    places = torch.zeros_like(base.places)
    positions = torch.arange(base.places.numel()).view(base.places.shape)[index]
    spread = torch.broadcast_to(values.places, positions.shape)
    order: dict[int, int] = {}
    turn = torch.tensor([order.setdefault(p, -1) for p in positions.flatten().tolist()])
    for at, place in enumerate(positions.flatten().tolist()):
        order[place] += 1
        turn[at] = order[place]
    if (count := int(turn.max()) + 1) > RUNS:
        raise Refused(f"a sum of {count} numbers into one place")
    found = []
    for number in range(count):
        mine = turn.view(positions.shape) == number
        layer = places.flatten().clone()
        layer[positions[mine]] = spread[mine]
        found.append(Moved(values.sources, layer.view(base.places.shape)))
    return found


def _gather(builder: Builder, pieces: Sequence[Piece], columns: Sequence[int]) -> list[Piece]:
    """Return the pieces that cover columns, numbered from 1: runs of adjacent ones, repeated ones, zeros."""
    runs: list[tuple[int, int, int]] = []  # first column, step, length
    for column in columns:
        first, step, length = runs[-1] if runs else (-1, 0, 0)
        if length and column == first + step * length and (column == 0) == (first == 0):
            runs[-1] = (first, step, length + 1)
        elif length == 1 and column == first + 1 and first:
            runs[-1] = (first, 1, 2)
        else:
            runs.append((column, 0, 1))
    if len(runs) > RUNS and len(runs) > 2 * len(pieces):
        operand = spread_pieces(builder, pieces)
        return [(builder.select(operand, [column - 1 for column in columns]), len(columns))]
    found: list[Piece] = []
    for first, step, length in runs:
        if first == 0:
            found.append((builder.scalar(0.0), length))
        elif step == 1 or length == 1:
            found += cut(builder, pieces, first - 1, length)
        else:
            found.append((cut(builder, pieces, first - 1, 1)[0][0], length))
    return found


def _map(function: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, Moved):
        return function(tree)
    if isinstance(tree, dict):
        return {key: _map(function, value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_map(function, value) for value in tree]
    return function(tree)
