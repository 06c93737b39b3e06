"""What an executor runs: the forward and the backward program of a traced step.

Both have one form. A program runs once a step, forwards or backwards in time, over *streams* ``(batch, time, width)``
that it reads, *carries* ``(batch, width)`` that it passes on from step to step, *vectors* ``(width,)`` and weights; it
writes output streams, and it adds up rows that only their sum over time matters for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from seqmodels.fusion.values import Builder, Product, Value, walk


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
    """Copies values into a fresh builder; ``change`` returns what a value becomes there, or None for a plain copy."""

    def __init__(self, products: Sequence[Product], change: Callable[["Mover", Value], Value | None]) -> None:
        self.builder = Builder()
        self._products = products
        self._change = change
        self._known: dict[Value, Value] = {}

    def __call__(self, value: Value) -> Value:
        if value not in self._known:
            changed = self._change(self, value)
            self._known[value] = self._copy(value) if changed is None else changed
        return self._known[value]

    def groups(self, groups: Iterable[Iterable[Value]]) -> tuple[tuple[Value, ...], ...]:
        """Copy groups of values side by side."""
        return tuple(tuple(self(value) for value in group) for group in groups)

    def _copy(self, value: Value) -> Value:
        if value.op == "product":
            old = self._products[value.data[0]]
            whole = self.builder.product(map(self, old.operand), old.weight, old.transposed, old.width)
            return self.builder.cut(whole, value.data[1], value.width)
        return self.builder.copy(value, tuple(map(self, value.args)))
