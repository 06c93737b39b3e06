"""The layers of a network in C: which step reads what and writes where, for one step or for a whole sequence."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from seqmodels.exporting.c.network import Chain, Leaf, Node, Pair, WithInput


class Rows(NamedTuple):
    """Where the rows of a value lie: one row, or one for each step, ``stride`` floats apart."""

    base: str
    stride: int

    def at(self, column: int) -> "Rows":
        return Rows(f"{self.base} + {column}", self.stride) if column else self

    def row(self, *, whole: bool) -> str:
        return f"{self.base} + t * {self.stride}" if whole else self.base


class Placed(NamedTuple):
    """A cell's step: the name of its function, and where its carries begin."""

    function: str
    carry: int


class Layers:
    """Writes the calls of all steps of a network.

    Args:
        placed: the function of each leaf, in the order of the walk.
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
        for number, one in enumerate(node.nodes):
            last = number == len(node.nodes) - 1
            own = target if last else self.room(one.output_size)
            yield from self.lines(one, source, own)
            if number and node.residual:
                to, below = own.row(whole=self.whole), source.row(whole=self.whole)
                yield self._each(f"for (int j = 0; j < {one.output_size}; j++) ({to})[j] += ({below})[j];")
            source = own

    def _each(self, statement: str, *, reverse: bool = False) -> str:
        if not self.whole:
            return statement
        loop = "for (size_t t = steps; t-- > 0;)" if reverse else "for (size_t t = 0; t < steps; t++)"
        return f"{loop} {statement}"


def leaves_of(node: Node) -> Iterator[Leaf]:
    """Yield the cells of a network in the order in which they are written."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Pair):
        yield from leaves_of(node.first)
        yield from leaves_of(node.second)
    elif isinstance(node, WithInput):
        yield from leaves_of(node.node)
    else:
        for one in node.nodes:
            yield from leaves_of(one)
