"""The values of a step program: pointwise expressions over rows, reductions of a row, and products with a weight.

A value stands for one row of ``width`` numbers, the same expression for every row of the batch; a value of width 1 is
one number per row and is broadcast where it meets a wider one. Values are interned: equal expressions are one object.
Slices are lazy: cutting the gates out of one wide sum builds as many narrow sums, and the wide one is never computed.

What a value is, is said by its ``op`` and ``payload``:

* ``STREAM``, ``CARRY`` and ``VECTOR`` are :class:`Columns` of an input of the program;
* ``PRODUCT`` is :class:`Columns` of a :class:`Product` or :class:`Selection` of the program;
* ``SCALAR`` is a constant, a :class:`Number`;
* ``SPREAD`` repeats its only argument, of width 1, over ``width`` columns;
* a reduction (``REDUCTIONS`` in ``ops.py``) makes one number of the columns of its only argument;
* a pointwise operator (``POINTWISE`` there) applies a function of torch to arguments of its width, or of width 1.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seqmodels.fusion.ops import Op


class Columns(NamedTuple):
    """The payload of inputs and products: the columns from ``start`` on of the input or product number ``source``."""

    source: int
    start: int


class Number(NamedTuple):
    """The payload of a scalar."""

    number: float


@dataclass(eq=False, slots=True)
class Value:
    """One row of ``width`` numbers; see the module's docstring. Two values are equal if they are one object."""

    op: Op
    args: tuple["Value", ...]
    width: int
    payload: Columns | Number | None = None
    level: int = 0
    """How many products and reductions must finish before this value can be computed."""

    @property
    def columns(self) -> Columns:
        """The payload of an input or a product."""
        assert isinstance(self.payload, Columns), self
        return self.payload

    @property
    def is_number(self) -> bool:
        """Whether this is one constant for all rows and columns."""
        return self.op is Op.SCALAR or (self.op is Op.SPREAD and self.args[0].op is Op.SCALAR)

    @property
    def number(self) -> float:
        """That constant."""
        payload = (self.args[0] if self.op is Op.SPREAD else self).payload
        assert isinstance(payload, Number), self
        return payload.number

    def __repr__(self) -> str:
        return self._described(3)

    def _described(self, depth: int) -> str:
        """Return a description of bounded length: an expression can be thousands of operators deep."""
        parts = [argument._described(depth - 1) if depth else "…" for argument in self.args]
        return f"{self.op}({', '.join(parts or map(repr, self.payload or ()))}):{self.width}"


def width(group: Iterable[Value]) -> int:
    """Return the number of columns of values side by side."""
    return sum(value.width for value in group)


@dataclass(frozen=True)
class Product:
    """Values side by side, ``depth`` columns, times a weight ``(depth, width)``: as it is given, or transposed."""

    operand: tuple[Value, ...]
    weight: int
    transposed: bool
    width: int

    @property
    def depth(self) -> int:
        return width(self.operand)


@dataclass(frozen=True)
class Selection:
    """Columns of values side by side, moved without arithmetic: number ``columns[j]`` there, or 0 for -1."""

    operand: tuple[Value, ...]
    columns: tuple[int, ...]

    @property
    def width(self) -> int:
        return len(self.columns)


def in_order(roots: Iterable[Value], arguments: Callable[[Value], Iterable[Value]]) -> list[Value]:
    """Return values and what they are computed from, arguments before their users.

    ``arguments`` is called once for each value, when that is first met.
    """
    order: list[Value] = []
    seen: set[Value] = set()
    pending: list[tuple[Value | None, Iterator[Value]]] = [(None, iter(roots))]
    while pending:
        user, rest = pending[-1]
        value = next((argument for argument in rest if argument not in seen), None)
        if value is not None:
            seen.add(value)
            pending.append((value, iter(arguments(value))))
        else:
            pending.pop()
            if user is not None:
                order.append(user)
    return order


def inner(value: Value, products: Sequence[Product | Selection]) -> tuple[Value, ...]:
    """Return what a value is computed from."""
    return products[value.columns.source].operand if value.op is Op.PRODUCT else value.args


def walk(roots: Iterable[Value], products: Sequence[Product | Selection]) -> list[Value]:
    """Return every value that ``roots`` need, arguments before their users."""
    return in_order(roots, lambda value: inner(value, products))


def dependent(order: Iterable[Value], products: Sequence[Product | Selection], ops: Collection[Op]) -> set[Value]:
    """Return those of values in order that have, or are computed from values that have, one of some operators."""
    found: set[Value] = set()
    for value in order:
        if value.op in ops or any(argument in found for argument in inner(value, products)):
            found.add(value)
    return found
