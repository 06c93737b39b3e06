"""The layers of a network in C: which step reads what and writes where, for one step or for a whole sequence."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from seqmodels.exporting.c.nodes import Attending, Chain, Convolved, Leaf, Node, Pair, WithInput


class Rows(NamedTuple):
    """Where the rows of a value lie: one row, or one for each step, ``stride`` floats apart."""

    base: str
    stride: int

    def at(self, column: int) -> "Rows":
        return Rows(f"{self.base} + {column}", self.stride) if column else self

    def row(self, *, whole: bool) -> str:
        return f"{self.base} + t * {self.stride}" if whole else self.base


class Placed(NamedTuple):
    """A cell's step, or a convolution: the name of its function, and where its carries begin."""

    function: str
    carry: int = 0


class Layers:
    """Writes the calls of all steps of a network.

    Args:
        placed: the function of each leaf and convolution, in the order of the walk.
        whole: whether the network runs layer after layer over a sequence, or all layers at each step.
        room: returns memory for a row of a width at each step.
        constants: arguments with which each step begins.
    """

    def __init__(self, placed: Iterator[Placed], constants: str, room: Callable[[int], Rows], *, whole: bool) -> None:
        self.placed, self.constants, self.room, self.whole = placed, constants, room, whole

    def lines(self, node: Node, source: Rows, target: Rows) -> Iterator[str]:
        """Yield the statements that compute the rows of a node."""
        if isinstance(node, Leaf):
            function, carry = next(self.placed)
            rows = f"{source.row(whole=self.whole)}, s->carry + {carry}, {target.row(whole=self.whole)}"
            yield self._each(f"{function}({self.constants}, {rows}, s->work);", reverse=node.reverse)
        elif isinstance(node, Convolved):
            function, _ = next(self.placed)
            beside = target.stride != node.output_size  # another value: its rows are written one after the other
            own = self.room(node.output_size) if beside else target
            yield f"steps = {function}({self.constants}, {source.base}, steps, {own.base});"
            if beside:
                copied = f"memcpy({target.row(whole=True)}, {own.row(whole=True)}, "
                yield self._each(f"{copied}{node.output_size} * sizeof(float));")
        elif isinstance(node, Attending):
            yield from self._attention(node, source, target)
        elif isinstance(node, Pair):
            yield from self.lines(node.first, source, target)
            yield from self.lines(node.second, source, target.at(node.first.output_size))
        elif isinstance(node, WithInput):
            copied = f"memcpy({target.row(whole=self.whole)}, {source.row(whole=self.whole)}, "
            yield self._each(f"{copied}{node.input_size} * sizeof(float));")
            yield from self.lines(node.node, source, target.at(node.input_size))
        else:
            yield from self._chain(node, source, target)

    def _chain(self, node: Chain, source: Rows, target: Rows) -> Iterator[str]:
        between = [one.output_size for one in node.nodes[:-1]]
        rooms: list[Rows] = []  # two serve all: a node reads the rows of the one before it
        for number, one in enumerate(node.nodes):
            last = number == len(node.nodes) - 1
            if not last and number < 2:
                rooms.append(self.room(max(between[number::2])))
            own = target if last else Rows(rooms[number % 2].base, one.output_size)
            yield from self.lines(one, source, own)
            if number and node.residual:
                to, below = own.row(whole=self.whole), source.row(whole=self.whole)
                yield self._each(f"for (int j = 0; j < {one.output_size}; j++) ({to})[j] += ({below})[j];")
            source = own

    def _attention(self, node: Attending, source: Rows, target: Rows) -> Iterator[str]:
        size = node.output_size
        parts, joined = self.room(3 * size), self.room(2 * size)
        yield from self.lines(node.before, source, parts)
        yield f"attend({parts.base}, steps, {joined.base}, {size}, {node.heads});"
        copied = f"memcpy({joined.at(size).row(whole=True)}, {source.row(whole=True)}, {size} * sizeof(float));"
        yield self._each(copied)
        yield from self.lines(node.after, joined, target)

    def _each(self, statement: str, *, reverse: bool = False) -> str:
        if not self.whole:
            return statement
        loop = "for (size_t t = steps; t-- > 0;)" if reverse else "for (size_t t = 0; t < steps; t++)"
        return f"{loop} {statement}"
