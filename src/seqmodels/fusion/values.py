"""The values of a step program: pointwise expressions over rows, sums along a row, and products with a weight.

A value stands for one row of ``width`` numbers, the same expression for every row of the batch; a value of width 1
stands for one number a row and is spread over the width where it meets a wider one. Values are interned, so that equal
expressions are one object, and they are cut lazily: cutting the gates of one wide sum apart gives as many narrow sums.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

LEAVES = ("stream", "carry", "vector", "scalar", "cotangent")

COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne")
LOGICAL = ("and", "or", "xor", "not")
TRUTHS = {*COMPARISONS, *LOGICAL}
"""Operators whose result is true or false: never a root of a program or an operand of a product."""

_ROUNDING = ("floor", "ceil", "round", "trunc")
_ARITHMETIC = ("add", "sub", "mul", "div", "neg", "pow", "fmod", "remainder")
_CHOICES = ("maximum", "minimum", "relu", "abs", "sign", "where")
_EXPONENTIAL = ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "sigmoid", "erf", "erfc")
_CIRCULAR = ("sin", "cos", "tan", "asin", "acos", "atan", "atan2")
_HYPERBOLIC = ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")
_NAMES = (*COMPARISONS, *_ROUNDING, *_ARITHMETIC, *_CHOICES, *_EXPONENTIAL, *_CIRCULAR, *_HYPERBOLIC)
POINTWISE: dict[str, Callable[..., Tensor]] = {
    **{name: getattr(torch, name) for name in _NAMES},
    **{name: getattr(torch, f"logical_{name}") for name in LOGICAL},
}
REDUCTIONS: dict[str, Callable[..., Tensor]] = {"sum": torch.sum, "amax": torch.amax, "amin": torch.amin}
CHEAP = {"add", "sub", "mul", "neg", "where", "maximum", "minimum", "abs", "sign", *_ROUNDING, *TRUTHS}
"""Operators that cost less than storing their result and reading it back: the backward pass computes them again."""


@dataclass(eq=False, slots=True)
class Value:
    """One row of ``width`` numbers: a leaf, columns of a product, a reduction of a row, or an operator of values."""

    op: str
    args: tuple["Value", ...]
    width: int
    data: tuple[Any, ...] = ()
    level: int = field(default=0)
    """How many products and reductions must finish before this value can be computed."""

    def __repr__(self) -> str:
        return self._described(3)

    def _described(self, depth: int) -> str:
        """Return a description of bounded length: an expression can be thousands of operators deep."""
        parts = [argument._described(depth - 1) if depth else "…" for argument in self.args]
        return f"{self.op}({', '.join(parts or map(repr, self.data))}):{self.width}"


@dataclass(frozen=True)
class Product:
    """Operand pieces side by side, times a weight: ``rows (K, N)`` as given, or transposed, plus nothing.

    Where ``select`` is not empty there is no weight, and ``weight`` is -1: column j of the result is column
    ``select[j]`` of the pieces side by side, or 0 where that is -1.
    """

    operand: tuple[Value, ...]
    weight: int
    transposed: bool
    width: int  # number of columns
    select: tuple[int, ...] = ()

    @property
    def depth(self) -> int:
        return sum(piece.width for piece in self.operand)


class Builder:
    """Interns values; knows the few identities that derivatives of products and sums leave behind."""

    def __init__(self) -> None:
        self.products: list[Product] = []
        self._known: dict[Any, Value] = {}
        self._cuts: dict[tuple[Value, int, int], Value] = {}
        self._numbers: dict[Product, int] = {}

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self._known)

    def leaf(self, op: str, index: int, offset: int, width: int) -> Value:
        return self._intern(op, (), width, (index, offset))

    def scalar(self, number: float) -> Value:
        number = float(number)
        key = ("scalar", number.hex())  # 0.0 and -0.0 are equal, and two numbers here
        if key not in self._known:
            self._known[key] = Value("scalar", (), 1, (number,))
        return self._known[key]

    def product(self, operand: Iterable[Value], weight: int, transposed: bool, width: int) -> Value:
        pieces = tuple(operand)
        if all(is_number(piece) and number_of(piece) == 0 for piece in pieces):
            return self.spread(self.scalar(0.0), width)
        return self._whole(Product(pieces, weight, transposed, width))

    def select(self, operand: Iterable[Value], indices: Sequence[int]) -> Value:
        """Return columns of the operand's pieces side by side, by their numbers there; 0 where the number is -1.

        Columns are moved as they are, without arithmetic. The same column may be wanted any number of times.
        """
        columns = [(piece, column) for piece in operand for column in range(piece.width)]
        assert all(-1 <= index < len(columns) for index in indices), indices
        wanted = [None if index == -1 else columns[index] for index in indices]
        pieces = list(dict.fromkeys(where[0] for where in wanted if where is not None))
        if (simple := self._moved(pieces, wanted)) is not None:
            return simple
        starts = {piece: sum(before.width for before in pieces[:i]) for i, piece in enumerate(pieces)}
        found = tuple(-1 if where is None else starts[where[0]] + where[1] for where in wanted)
        return self._whole(Product(tuple(pieces), -1, False, len(found), found))

    def _moved(self, pieces: list[Value], wanted: list[tuple[Value, int] | None]) -> Value | None:
        """Return zeros, one column again and again, or columns that stand in order already."""
        if not pieces:
            return self.spread(self.scalar(0.0), len(wanted))
        columns = [where[1] for where in wanted if where is not None]
        if len(pieces) > 1 or len(columns) < len(wanted):
            return None
        if pieces[0].op == "spread" or len(set(columns)) == 1:
            return self.spread(self.cut(pieces[0], columns[0], 1), len(wanted))
        adjacent = all(after == before + 1 for before, after in pairwise(columns))
        return self.cut(pieces[0], columns[0], len(wanted)) if adjacent else None

    def _whole(self, product: Product) -> Value:
        """Return all columns of a product."""
        number = self._numbers.setdefault(product, len(self.products))
        if number == len(self.products):
            self.products.append(product)
        level = 1 + max(piece.level for piece in product.operand)
        return self._intern("product", (), product.width, (number, 0), level)

    def reduce(self, op: str, value: Value) -> Value:
        """Return the "sum" of a row's columns, the largest ("amax") or the smallest ("amin")."""
        if value.op == "spread":
            one = value.args[0]
            return self.apply("mul", one, self.scalar(value.width)) if op == "sum" else one
        return value if value.width == 1 else self._intern(op, (value,), 1, (), value.level + 1)

    def spread(self, value: Value, width: int) -> Value:
        """Repeat a value of width 1 over ``width`` columns, where a product or a buffer needs them all."""
        return value if value.width == width else self._intern("spread", (value,), width, (), value.level)

    def apply(self, op: str, *args: Value) -> Value:
        if any(argument.op == "spread" for argument in args):  # a number a row meets wider values as it is
            narrow = self.apply(op, *(a.args[0] if a.op == "spread" else a for a in args))
            return self.spread(narrow, max(argument.width for argument in args))
        args = tuple(self._typed(a, op in LOGICAL or (op == "where" and i == 0)) for i, a in enumerate(args))
        if (simple := self._simplify(op, args)) is not None:
            return simple
        if op in ("add", "mul", "maximum", "minimum") and args[0].op == "scalar":
            args = args[::-1]  # one order, so that equal expressions are one object
        width = max(argument.width for argument in args)
        return self._intern(op, args, width, (), max(argument.level for argument in args))

    def _typed(self, value: Value, truth: bool) -> Value:
        """Return a value as a truth value, which all numbers but 0 are, or as a number."""
        if value.op == "scalar" or (value.op in TRUTHS) == truth:
            return value
        zero, one = self.scalar(0.0), self.scalar(1.0)
        return self.apply("ne", value, zero) if truth else self.apply("where", value, one, zero)

    def cut(self, value: Value, start: int, width: int) -> Value:
        """Return columns ``start … start + width`` of a value."""

        def made(value: Value) -> Any:
            whole = value.width == 1 or (start == 0 and width == value.width)
            return value if whole else self._cuts.get((value, start, width))

        for each in in_order([value], lambda each: () if made(each) else each.args):
            if not made(each):
                self._cuts[each, start, width] = self._cut(each, tuple(map(made, each.args)), start, width)
        return made(value)

    def _cut(self, value: Value, args: tuple[Value, ...], start: int, width: int) -> Value:
        """Return columns of a value whose arguments are cut already."""
        if value.op == "spread":
            return self.spread(args[0], width)
        if args:
            return self.apply(value.op, *args)
        index, offset = value.data
        return self._intern(value.op, (), width, (index, offset + start), value.level)

    def copy(self, value: Value, args: tuple[Value, ...]) -> Value:
        """Return another builder's value here, over arguments that are here already."""
        if value.op == "spread":
            return self.spread(args[0], value.width)
        if value.op in REDUCTIONS:
            return self.reduce(value.op, args[0])
        if not args:
            known = value.op == "scalar"
            return self.scalar(number_of(value)) if known else self._intern(value.op, (), value.width, value.data)
        return self.spread(self.apply(value.op, *args), value.width)  # what turns out to be a number keeps its width

    def _intern(self, op: str, args: tuple[Value, ...], width: int, data: tuple[Any, ...], level: int = 0) -> Value:
        key = (op, args, width, data)
        if key not in self._known:
            self._known[key] = Value(op, args, width, data, level)
        return self._known[key]

    def _simplify(self, op: str, args: tuple[Value, ...]) -> Value | None:
        """Return what an operator comes to whatever the numbers are: also infinite ones, and what is no number."""
        numbers = [argument.data[0] if argument.op == "scalar" else None for argument in args]
        if op == "where" and numbers[0] is not None:
            return args[1] if numbers[0] else args[2]
        if all(number is not None for number in numbers) and op != "where":
            exact = POINTWISE[op](*(torch.tensor(number, dtype=torch.float64) for number in numbers))
            return self.scalar(float(exact))
        if op == "add" and 0.0 in numbers:
            return args[1 - numbers.index(0.0)]
        if (op == "sub" and numbers[1] == 0.0) or (op in ("mul", "div") and numbers[1] == 1.0):
            return args[0]
        if op == "sub" and numbers[0] == 0.0:
            return self.apply("neg", args[1])
        if op == "mul" and numbers[0] == 1.0:
            return args[1]
        if op == "neg" and args[0].op == "neg":
            return args[0].args[0]
        return None


def is_number(value: Value) -> bool:
    """Say whether a value is one number for all rows and columns."""
    return value.op == "scalar" or (value.op == "spread" and value.args[0].op == "scalar")


def number_of(value: Value) -> float:
    """Return that number."""
    return (value if value.op == "scalar" else value.args[0]).data[0]


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


def inner(value: Value, products: Sequence[Product]) -> Sequence[Value]:
    """Return what a value is computed from."""
    return products[value.data[0]].operand if value.op == "product" else value.args


def walk(roots: Iterable[Value], products: Sequence[Product]) -> list[Value]:
    """Return every value that ``roots`` need, arguments before their users."""
    return in_order(roots, lambda value: inner(value, products))
