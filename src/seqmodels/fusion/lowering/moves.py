"""Operators that only move numbers: slices, views, flips, padding, index lists, and their derivatives.

None of them is described here. Each is run, as PyTorch has it, on the *indices* of the numbers: a tensor of two rows
whose entries say which column of which source they stand for, 0 for a zero that the operator puts in. What comes out
says where every number went, for any operator and any chain of them, and the second row shows whether the operator
keeps the rows of the batch apart.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.errors import Refused
from seqmodels.fusion.builder import Builder
from seqmodels.fusion.lowering.rows import Piece, Row, cut, spread_pieces

RUNS = 32
"""Runs of columns side by side that a moved row may fall into; more are gathered by one ``select``."""

Source = tuple[Row, bool]
"""A row, and whether it has the batch in front (a vector, which is the same for all rows, has not)."""


class Moved(NamedTuple):
    """Where numbers went: ``places`` has the shape of the tensor with a batch of 2.

    Its entries count the columns of the sources, one after the other, from 1; those of the second row of the batch from
    ``1 + total``; 0 is a zero.
    """

    sources: tuple[Source, ...]
    places: Tensor

    @property
    def total(self) -> int:
        return sum(row.width for row, _ in self.sources)


def start(source: Row, *, batched: bool) -> Moved:
    """Return a row as it is, before anything is moved."""
    index = torch.arange(1, source.width + 1).view(source.shape)
    if batched:
        index = torch.stack([index, index + source.width])
    return Moved(((source, batched),), index)


def move(call: Callable[..., Any], args: Any, kwargs: Any, batch: int) -> Moved | list[Moved]:
    """Run an operator on indices.

    Args:
        call: the operator.
        args: its arguments, in which :class:`Moved` stand for tensors, and ``batch`` for the size of the batch.
        kwargs: its named arguments, likewise.
        batch: the size that the batch was traced with.

    Raises:
        Refused: the operator does not take the arguments with another batch.
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
        made = call(*_map(with_indices, args), **_map(with_indices, kwargs))
    except (RuntimeError, IndexError, TypeError) as error:
        raise Refused(f"the operator mixes the batch with the features: {str(error).splitlines()[0]}") from None
    kept = tuple(sources)
    return [Moved(kept, one) for one in made] if isinstance(made, list | tuple) else Moved(kept, made)


def settle(builder: Builder, moved: Moved) -> Row:
    """Return the row that moved numbers make.

    Raises:
        Refused: they are not one row for each row of the batch.
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
    """Take a sum of values into the places that an index names apart into sums of which each names a place once."""
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
        made = places.flatten().clone()
        made[positions[mine]] = spread[mine]
        found.append(Moved(values.sources, made.view(base.places.shape)))
    return found


def _gather(builder: Builder, pieces: Sequence[Piece], columns: Sequence[int]) -> list[Piece]:
    """Return the pieces that columns, counted from 1, make: runs side by side, repeated numbers, zeros."""
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
