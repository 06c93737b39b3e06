"""What an executor runs: the forward and the backward program of a traced step.

Both have one form. A program runs once per step, forwards or backwards in time, over *streams* ``(batch, time, width)``
that it reads, *carries* ``(batch, width)`` that it passes from step to step, *vectors* ``(width,)`` and weights. It
writes output streams, and sums rows of which only the total over time and batch is needed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from seqmodels.fusion.builder import Builder
from seqmodels.fusion.ops import Op
from seqmodels.fusion.values import Product, Selection, Value, inner, walk


@dataclass(frozen=True, eq=False)
class Program:
    """One step, as values. Outputs, carries after the step and totals are groups of values side by side.

    Programs are told apart by identity: executors look their kernels up by them at every call.
    """

    streams: tuple[int, ...]  # widths of the input streams
    carries: tuple[int, ...]  # widths of the carries
    vectors: tuple[int, ...]  # widths of the vectors
    products: tuple[Product | Selection, ...]  # what values with the operator PRODUCT are columns of
    outputs: tuple[tuple[Value, ...], ...]  # the first output of a forward program is the cell's own
    carried: tuple[tuple[Value, ...], ...]  # the carries after the step
    totals: tuple[tuple[Value, ...], ...] = ()  # rows to be summed over all steps and rows of the batch
    backwards: bool = False  # whether steps run from the last to the first

    @property
    def roots(self) -> list[Value]:
        return [value for group in (*self.outputs, *self.carried, *self.totals) for value in group]

    def values(self) -> list[Value]:
        """Return every value of the program, arguments before users."""
        return walk(self.roots, self.products)

    def shifted(self) -> dict[int, int]:
        """Return, by number, the outputs that hold what another output holds, one step later.

        That other output, the value of the result, is a carry before each step, and this one the same carry after it:
        one stream with one more step serves both. The first output, the cell's own, is never one of them.
        """
        found: dict[int, int] = {}
        for before, group in [] if self.backwards else enumerate(self.outputs):
            if before == 0 or len(group) > 1 or group[0].op is not Op.CARRY:
                continue
            carry = group[0].columns.source
            for after, other in enumerate(self.outputs):
                whole = group[0].width == self.carries[carry] and other == self.carried[carry]
                if whole and after > 0 and len(other) == 1 and other[0].args and before not in found.values():
                    found.setdefault(after, before)
        return found


class Rewriter:
    """Copies values into a new builder; ``change`` returns what a value becomes there, or None for a plain copy.

    ``change`` receives the rewriter, which it calls for what other values became. It may be called several times for
    one value: a call that asks for a value which is not rewritten yet is abandoned, and repeated after that one.
    """

    def __init__(
        self, products: Sequence[Product | Selection], change: Callable[["Rewriter", Value], Value | None]
    ) -> None:
        self.builder = Builder()
        self._products = products
        self._change = change
        self._known: dict[Value, Value] = {}
        self._running = False

    def __call__(self, value: Value) -> Value:
        if value not in self._known:
            if self._running:
                raise _NotRewritten(value)
            self._running = True
            try:
                self._rewrite(value)
            finally:
                self._running = False
        return self._known[value]

    def groups(self, groups: Iterable[Iterable[Value]]) -> tuple[tuple[Value, ...], ...]:
        """Copy groups of values side by side."""
        return tuple(tuple(self(value) for value in group) for group in groups)

    def _rewrite(self, value: Value) -> None:
        pending = [value]  # a list: recursion would exhaust the stack
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
            except _NotRewritten as missed:
                pending.append(missed.value)

    def _copy(self, value: Value) -> Value:
        if value.op is not Op.PRODUCT:
            return self.builder.copy(value, tuple(map(self, value.args)))
        old = self._products[value.columns.source]
        operand = tuple(map(self, old.operand))
        if isinstance(old, Selection):
            whole = self.builder.select(operand, old.columns)
        else:
            whole = self.builder.product(operand, old.weight, old.transposed, old.width)
        return self.builder.cut(whole, value.columns.start, value.width)


class _NotRewritten(Exception):
    """A value was asked for that is not rewritten yet."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value
