"""The values of a step program: pointwise expressions over rows, reductions of a row, and products with a weight.

A value stands for one row of ``width`` numbers, the same expression for every row of the batch; a value of width 1 is
one number per row and is broadcast where it meets a wider one. Values are interned: equal expressions are one object.
Slices are lazy: cutting the gates out of one wide sum builds as many narrow sums, and the wide one is never computed.

What a value is, is said by its ``op`` and ``payload``:

* *leaves* (:data:`LEAVES`) are columns of an input of the program, named by :class:`Columns`;
* ``SCALAR`` is a constant, a :class:`Number`;
* ``PRODUCT`` is :class:`Columns` of a :class:`Product` or :class:`Selection` of the program;
* ``SPREAD`` repeats its only argument, of width 1, over ``width`` columns;
* *reductions* (:data:`REDUCTIONS`) make one number of the columns of their only argument;
* *pointwise* operators (:data:`POINTWISE`) apply a function of torch to arguments of their width, or of width 1.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor


class Op(StrEnum):
    """The operators of values; their texts are torch's names."""

    STREAM = auto()  # an input of every step (batch, time, width)
    CARRY = auto()  # passed from step to step (batch, width)
    VECTOR = auto()  # the same for all rows and steps (width,)
    COTANGENT = auto()  # a gradient that comes in: a leaf while a backward program is derived, never of a program
    SCALAR = auto()
    PRODUCT = auto()
    SPREAD = auto()
    SUM = auto()
    AMAX = auto()
    AMIN = auto()
    GT = auto()
    GE = auto()
    LT = auto()
    LE = auto()
    EQ = auto()
    NE = auto()
    AND = auto()
    OR = auto()
    XOR = auto()
    NOT = auto()
    FLOOR = auto()
    CEIL = auto()
    ROUND = auto()
    TRUNC = auto()
    ADD = auto()
    SUB = auto()
    MUL = auto()
    DIV = auto()
    NEG = auto()
    POW = auto()
    FMOD = auto()
    REMAINDER = auto()
    MAXIMUM = auto()
    MINIMUM = auto()
    RELU = auto()
    ABS = auto()
    SIGN = auto()
    WHERE = auto()
    EXP = auto()
    EXP2 = auto()
    EXPM1 = auto()
    LOG = auto()
    LOG2 = auto()
    LOG10 = auto()
    LOG1P = auto()
    SQRT = auto()
    RSQRT = auto()
    SIGMOID = auto()
    ERF = auto()
    ERFC = auto()
    SIN = auto()
    COS = auto()
    TAN = auto()
    ASIN = auto()
    ACOS = auto()
    ATAN = auto()
    ATAN2 = auto()
    SINH = auto()
    COSH = auto()
    TANH = auto()
    ASINH = auto()
    ACOSH = auto()
    ATANH = auto()
    THRESHOLD = auto()  # (x, v): 0 where v <= 0, else x; the portable executor rewrites to it, no program holds it

    __hash__ = str.__hash__  # an Enum hashes its name in Python code


INPUTS = frozenset({Op.STREAM, Op.CARRY, Op.VECTOR})
"""Leaves of a program: columns of its inputs."""
LEAVES = INPUTS | {Op.COTANGENT, Op.SCALAR}
RECURRENT = frozenset({Op.CARRY, Op.PRODUCT})
"""What depends on earlier steps, or is computed with what does."""
COMPARISONS = frozenset({Op.GT, Op.GE, Op.LT, Op.LE, Op.EQ, Op.NE})
LOGICAL = frozenset({Op.AND, Op.OR, Op.XOR, Op.NOT})
TRUTHS = COMPARISONS | LOGICAL
"""Operators whose result is true or false: never a root of a program or an operand of a product."""
REDUCTIONS: dict[Op, Callable[..., Tensor]] = {Op.SUM: torch.sum, Op.AMAX: torch.amax, Op.AMIN: torch.amin}
_NOT_POINTWISE = LEAVES | REDUCTIONS.keys() | {Op.PRODUCT, Op.SPREAD, Op.THRESHOLD}
POINTWISE: dict[Op, Callable[..., Tensor]] = {
    op: getattr(torch, f"logical_{op}" if op in LOGICAL else op) for op in Op if op not in _NOT_POINTWISE
}
_ROUNDING = {Op.FLOOR, Op.CEIL, Op.ROUND, Op.TRUNC}
CHEAP = frozenset({Op.ADD, Op.SUB, Op.MUL, Op.NEG, Op.WHERE, Op.MAXIMUM, Op.MINIMUM, Op.ABS, Op.SIGN})
CHEAP |= _ROUNDING | TRUTHS
"""Operators that cost less than storing their result and reading it back: the backward pass computes them again."""
_COMMUTATIVE = frozenset({Op.ADD, Op.MUL, Op.MAXIMUM, Op.MINIMUM})


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


class Builder:
    """Makes values. Applies the few identities that derivatives of products and sums leave behind."""

    def __init__(self) -> None:
        self.products: list[Product | Selection] = []
        self._interned: dict[object, Value] = {}
        self._cuts: dict[tuple[Value, int, int], Value] = {}
        self._numbers: dict[Product | Selection, int] = {}

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self._interned)

    def leaf(self, op: Op, source: int, start: int, width: int) -> Value:
        """Return columns of the input of a number."""
        return self._intern(op, (), width, Columns(source, start))

    def scalar(self, number: float) -> Value:
        number = float(number)
        key = number.hex()  # 0.0 and -0.0 compare equal, and are two numbers here
        if key not in self._interned:
            self._interned[key] = Value(Op.SCALAR, (), 1, Number(number))
        return self._interned[key]

    def product(self, operand: Iterable[Value], weight: int, transposed: bool, width: int) -> Value:
        """Return a product with the weight of a number; see :class:`Product`."""
        pieces = tuple(operand)
        if all(piece.is_number and piece.number == 0 for piece in pieces):
            return self.spread(self.scalar(0.0), width)
        return self._all_columns(Product(pieces, weight, transposed, width))

    def select(self, operand: Iterable[Value], indices: Sequence[int]) -> Value:
        """Return columns of the operand's pieces, by their numbers side by side; 0 where the number is -1.

        The same column may be selected any number of times.
        """
        columns = [(piece, column) for piece in operand for column in range(piece.width)]
        assert all(-1 <= index < len(columns) for index in indices), indices
        wanted = [None if index == -1 else columns[index] for index in indices]
        pieces = list(dict.fromkeys(found[0] for found in wanted if found is not None))
        if (simple := self._simple_selection(pieces, wanted)) is not None:
            return simple
        starts = {piece: width(pieces[:i]) for i, piece in enumerate(pieces)}
        selected = tuple(-1 if found is None else starts[found[0]] + found[1] for found in wanted)
        return self._all_columns(Selection(tuple(pieces), selected))

    def _simple_selection(self, pieces: list[Value], wanted: list[tuple[Value, int] | None]) -> Value | None:
        """Return zeros, one column repeated, or columns that are already in order; None for other selections."""
        if not pieces:
            return self.spread(self.scalar(0.0), len(wanted))
        columns = [found[1] for found in wanted if found is not None]
        if len(pieces) > 1 or len(columns) < len(wanted):
            return None
        if pieces[0].op is Op.SPREAD or len(set(columns)) == 1:
            return self.spread(self.cut(pieces[0], columns[0], 1), len(wanted))
        adjacent = all(after == before + 1 for before, after in pairwise(columns))
        return self.cut(pieces[0], columns[0], len(wanted)) if adjacent else None

    def _all_columns(self, product: Product | Selection) -> Value:
        number = self._numbers.setdefault(product, len(self.products))
        if number == len(self.products):
            self.products.append(product)
        level = 1 + max(piece.level for piece in product.operand)
        return self._intern(Op.PRODUCT, (), product.width, Columns(number, 0), level)

    def reduce(self, op: Op, value: Value) -> Value:
        """Return the sum of a row's columns, the largest or the smallest."""
        if value.op is Op.SPREAD:
            one = value.args[0]
            return self.apply(Op.MUL, one, self.scalar(value.width)) if op is Op.SUM else one
        return value if value.width == 1 else self._intern(op, (value,), 1, None, value.level + 1)

    def spread(self, value: Value, width: int) -> Value:
        """Repeat a value of width 1 over ``width`` columns, where a product or a buffer needs them all."""
        return value if value.width == width else self._intern(Op.SPREAD, (value,), width, None, value.level)

    def apply(self, op: Op, *args: Value) -> Value:
        """Return a pointwise operator of values."""
        if any(argument.op is Op.SPREAD for argument in args):  # one number per row needs no spreading to meet others
            narrow = self.apply(op, *(a.args[0] if a.op is Op.SPREAD else a for a in args))
            return self.spread(narrow, max(argument.width for argument in args))
        args = tuple(self._typed(a, op in LOGICAL or (i == 0 and op is Op.WHERE)) for i, a in enumerate(args))
        if (simple := self._simplify(op, args)) is not None:
            return simple
        if op in _COMMUTATIVE and args[0].op is Op.SCALAR:
            args = args[::-1]  # one order, so that equal expressions are one object
        width = max(argument.width for argument in args)
        return self._intern(op, args, width, None, max(argument.level for argument in args))

    def _typed(self, value: Value, truth: bool) -> Value:
        """Return a value as a truth value (all numbers but 0 are true) or as a number."""
        if value.op is Op.SCALAR or (value.op in TRUTHS) == truth:
            return value
        zero, one = self.scalar(0.0), self.scalar(1.0)
        return self.apply(Op.NE, value, zero) if truth else self.apply(Op.WHERE, value, one, zero)

    def cut(self, value: Value, start: int, width: int) -> Value:
        """Return columns ``start … start + width`` of a value."""

        def known(value: Value) -> Value | None:
            whole = value.width == 1 or (start == 0 and width == value.width)
            return value if whole else self._cuts.get((value, start, width))

        for each in in_order([value], lambda each: () if known(each) else each.args):
            if not known(each):
                args = tuple(known(argument) or argument for argument in each.args)
                self._cuts[each, start, width] = self._cut(each, args, start, width)
        return known(value) or value

    def _cut(self, value: Value, args: tuple[Value, ...], start: int, width: int) -> Value:
        """Return columns of a value whose arguments are cut already."""
        if value.op is Op.SPREAD:
            return self.spread(args[0], width)
        if args:
            return self.apply(value.op, *args)
        source, first = value.columns
        return self._intern(value.op, (), width, Columns(source, first + start), value.level)

    def copy(self, value: Value, args: tuple[Value, ...]) -> Value:
        """Return another builder's value here, over arguments that are here already; products are not copied."""
        if value.op is Op.SPREAD:
            return self.spread(args[0], value.width)
        if value.op in REDUCTIONS:
            return self.reduce(value.op, args[0])
        if value.op is Op.SCALAR:
            return self.scalar(value.number)
        if not args:
            return self._intern(value.op, (), value.width, value.payload)
        return self.spread(self.apply(value.op, *args), value.width)  # what simplifies to a number keeps its width

    def _intern(
        self, op: Op, args: tuple[Value, ...], width: int, payload: Columns | Number | None, level: int = 0
    ) -> Value:
        key = (op, args, width, payload)
        if key not in self._interned:
            self._interned[key] = Value(op, args, width, payload, level)
        return self._interned[key]

    def _simplify(self, op: Op, args: tuple[Value, ...]) -> Value | None:
        """Return what an operator simplifies to, whatever the numbers are, infinities and NaN included."""
        numbers = [argument.number if argument.op is Op.SCALAR else None for argument in args]
        if op is Op.WHERE and numbers[0] is not None:
            return args[1] if numbers[0] else args[2]
        if all(number is not None for number in numbers) and op is not Op.WHERE:
            exact = POINTWISE[op](*(torch.tensor(number, dtype=torch.float64) for number in numbers))
            return self.scalar(float(exact))
        if op is Op.ADD and 0.0 in numbers:
            return args[1 - numbers.index(0.0)]
        if (op is Op.SUB and numbers[1] == 0.0) or (op in (Op.MUL, Op.DIV) and numbers[1] == 1.0):
            return args[0]
        if op is Op.SUB and numbers[0] == 0.0:
            return self.apply(Op.NEG, args[1])
        if op is Op.MUL and numbers[0] == 1.0:
            return args[1]
        if op is Op.NEG and args[0].op is Op.NEG:
            return args[0].args[0]
        return None


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
