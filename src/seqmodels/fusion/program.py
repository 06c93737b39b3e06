"""What an executor runs: the forward and the backward program of a traced step.

Both have one form. A program runs once a step, forwards or backwards in time, over *streams* ``(batch, time, width)``
that it reads, *carries* ``(batch, width)`` that it passes on from step to step, *vectors* ``(width,)`` and weights; it
writes output streams, and it adds up rows that only their sum over time matters for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from seqmodels.fusion.values import Builder, Product, Value, inner, walk


@dataclass(frozen=True)
class Program:
    """One step, as values."""

    streams: tuple[int, ...]  # widths of the input streams
    carries: tuple[int, ...]  # widths of what is passed from step to step
    vectors: tuple[int, ...]
    products: tuple[Product, ...]
    outputs: tuple[tuple[Value, ...], ...]  # output streams, each as values side by side
    carried: tuple[tuple[Value, ...], ...]  # the carries after the step, each as values side by side
    totals: tuple[tuple[Value, ...], ...] = ()  # rows to be summed over time
    backwards: bool = False

    @property
    def roots(self) -> list[Value]:
        return [value for group in (*self.outputs, *self.carried, *self.totals) for value in group]

    def values(self) -> list[Value]:
        """Return every value of the program, arguments before users."""
        return walk(self.roots, list(self.products))

    def following(self) -> dict[int, int]:
        """Find outputs that hold a carry after each step where another one holds it before: the same, a step later.

        Return the latter by the former. The first output, the cell's own, is never one of them.
        """
        found: dict[int, int] = {}
        for before, group in [] if self.backwards else enumerate(self.outputs):
            if before == 0 or len(group) > 1 or group[0].op != "carry":
                continue
            carry = group[0].data[0]
            for after, other in enumerate(self.outputs):
                whole = group[0].width == self.carries[carry] and other == self.carried[carry]
                if whole and after > 0 and len(other) == 1 and other[0].args and before not in found.values():
                    found.setdefault(after, before)
        return found


def width(group: Iterable[Value]) -> int:
    """Return the number of columns of values side by side."""
    return sum(value.width for value in group)


class Mover:
    """Copies values into a fresh builder; ``change`` returns what a value becomes there, or None for a plain copy.

    ``change`` gets the mover, with which it asks for what other values became. It may be called several times for one
    value: it is broken off where it asks for one that was not moved yet, and called again after that.
    """

    def __init__(self, products: Sequence[Product], change: Callable[["Mover", Value], Value | None]) -> None:
        self.builder = Builder()
        self._products = products
        self._change = change
        self._known: dict[Value, Value] = {}
        self._moving = False

    def __call__(self, value: Value) -> Value:
        if value not in self._known:
            if self._moving:
                raise _NotMoved(value)
            self._moving = True
            try:
                self._move(value)
            finally:
                self._moving = False
        return self._known[value]

    def groups(self, groups: Iterable[Iterable[Value]]) -> tuple[tuple[Value, ...], ...]:
        """Copy groups of values side by side."""
        return tuple(tuple(self(value) for value in group) for group in groups)

    def _move(self, value: Value) -> None:
        pending = [value]  # a list, where calls within calls would run out of stack
        while pending:
            value = pending[-1]
            try:
                changed = self._known.get(value) or self._change(self, value)
                if changed is None:
                    missing = [each for each in inner(value, self._products) if each not in self._known]
                    pending += reversed(missing)
                    if missing:
                        continue
                    changed = self._copy(value)
                self._known[value] = changed
                pending.pop()
            except _NotMoved as missed:
                pending.append(missed.value)

    def _copy(self, value: Value) -> Value:
        if value.op != "product":
            return self.builder.copy(value, tuple(map(self, value.args)))
        old = self._products[value.data[0]]
        operand = tuple(map(self, old.operand))
        if old.select:
            whole = self.builder.select(operand, old.select)
        else:
            whole = self.builder.product(operand, old.weight, old.transposed, old.width)
        return self.builder.cut(whole, value.data[1], value.width)


class _NotMoved(Exception):
    """A value is asked for that was not moved yet."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value
