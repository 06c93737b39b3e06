"""The values of a step program: pointwise expressions over rows, sums along a row, and products with a weight.

A value stands for one row of ``width`` numbers, the same expression for every row of the batch; a value of width 1
stands for one number a row and is spread over the width where it meets a wider one. Values are interned, so that equal
expressions are one object, and they are cut lazily: cutting the gates of one wide sum apart gives as many narrow sums.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

LEAVES = ("stream", "carry", "vector", "scalar", "cotangent")

POINTWISE: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "exp": torch.exp,
    "log": torch.log,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "abs": torch.abs,
    "sign": torch.sign,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "pow": torch.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "gt": torch.gt,
    "ge": torch.ge,
    "lt": torch.lt,
    "le": torch.le,
    "eq": torch.eq,
    "ne": torch.ne,
    "and": torch.logical_and,
    "or": torch.logical_or,
    "not": torch.logical_not,
    "where": torch.where,
}
REDUCTIONS: dict[str, Callable[..., Tensor]] = {"sum": torch.sum, "amax": torch.amax}
CHEAP = {"add", "sub", "mul", "neg", "gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not", "where", "maximum"} | {
    "minimum",
    "abs",
    "sign",
}
"""Operators that cost less than storing their result and reading it back: the backward pass computes them again."""


@dataclass(eq=False, slots=True)
class Value:
    """One row of ``width`` numbers: a leaf, columns of a product, a sum along a row, or an operator of values."""

    op: str
    args: tuple["Value", ...]
    width: int
    data: tuple[Any, ...] = ()
    level: int = field(default=0)
    """How many products and row sums must finish before this value can be computed."""

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.args or self.data))
        return f"{self.op}({inside}):{self.width}"


@dataclass(frozen=True)
class Product:
    """Operand pieces side by side, times a weight: ``rows (K, N)`` as given, or transposed, plus nothing."""

    operand: tuple[Value, ...]
    weight: int
    transposed: bool
    width: int  # number of columns

    @property
    def depth(self) -> int:
        return sum(piece.width for piece in self.operand)


class Builder:
    """Interns values; knows the few identities that derivatives of products and sums leave behind."""

    def __init__(self) -> None:
        self.products: list[Product] = []
        self._known: dict[Any, Value] = {}
        self._cuts: dict[tuple[Value, int, int], Value] = {}

    def leaf(self, op: str, index: int, offset: int, width: int) -> Value:
        return self._intern(op, (), width, (index, offset))

    def scalar(self, number: float) -> Value:
        return self._intern("scalar", (), 1, (float(number),))

    def product(self, operand: Iterable[Value], weight: int, transposed: bool, width: int) -> Value:
        wanted = Product(tuple(operand), weight, transposed, width)
        if all(piece.op == "spread" and piece.args[0] is self.scalar(0.0) for piece in wanted.operand):
            return self.spread(self.scalar(0.0), width)
        if wanted not in self.products:
            self.products.append(wanted)
        level = 1 + max(piece.level for piece in wanted.operand)
        return self._intern("product", (), width, (self.products.index(wanted), 0), level)

    def reduce(self, op: str, value: Value) -> Value:
        """Return the "sum" or the largest ("amax") of a row's columns."""
        if value.op == "spread":
            return self.apply("mul", value.args[0], self.scalar(value.width))
        return self._intern(op, (value,), 1, (), value.level + 1)

    def spread(self, value: Value, width: int) -> Value:
        """Repeat a value of width 1 over ``width`` columns, where a product or a buffer needs them all."""
        return value if value.width == width else self._intern("spread", (value,), width, (), value.level)

    def apply(self, op: str, *args: Value) -> Value:
        if any(argument.op == "spread" for argument in args):  # a number a row meets wider values as it is
            narrow = self.apply(op, *(a.args[0] if a.op == "spread" else a for a in args))
            return self.spread(narrow, max(argument.width for argument in args))
        if (simple := self._simplify(op, args)) is not None:
            return simple
        if op in ("add", "mul", "maximum", "minimum") and args[0].op == "scalar":
            args = args[::-1]  # one order, so that equal expressions are one object
        width = max(argument.width for argument in args)
        return self._intern(op, args, width, (), max(argument.level for argument in args))

    def cut(self, value: Value, start: int, width: int) -> Value:
        """Return columns ``start … start + width`` of a value."""
        if value.width == 1 or (start == 0 and width == value.width):
            return value
        key = (value, start, width)
        if key not in self._cuts:
            if value.op == "spread":
                made = self.spread(value.args[0], width)
            elif value.args:
                made = self.apply(value.op, *(self.cut(argument, start, width) for argument in value.args))
            else:
                index, offset = value.data
                made = self._intern(value.op, (), width, (index, offset + start), value.level)
            self._cuts[key] = made
        return self._cuts[key]

    def copy(self, value: Value, args: tuple[Value, ...]) -> Value:
        """Return another builder's value here, over arguments that are here already."""
        if value.op == "spread":
            return self.spread(args[0], value.width)
        if value.op in REDUCTIONS:
            return self.reduce(value.op, args[0])
        if not args:
            return self._intern(value.op, (), value.width, value.data)
        return self.spread(self.apply(value.op, *args), value.width)  # what turns out to be a number keeps its width

    def _intern(self, op: str, args: tuple[Value, ...], width: int, data: tuple[Any, ...], level: int = 0) -> Value:
        key = (op, args, width, data)
        if key not in self._known:
            self._known[key] = Value(op, args, width, data, level)
        return self._known[key]

    def _simplify(self, op: str, args: tuple[Value, ...]) -> Value | None:
        numbers = [argument.data[0] if argument.op == "scalar" else None for argument in args]
        if op == "where" and numbers[0] is not None:
            return args[1] if numbers[0] else args[2]
        if all(number is not None for number in numbers) and op != "where":
            exact = POINTWISE[op](*(torch.tensor(number, dtype=torch.float64) for number in numbers))
            return self.scalar(float(exact))
        if op == "add" and 0.0 in numbers:
            return args[1 - numbers.index(0.0)]
        if op == "sub" and numbers[1] == 0.0:
            return args[0]
        if op == "sub" and numbers[0] == 0.0:
            return self.apply("neg", args[1])
        if op in ("mul", "div") and numbers[1] == 1.0:
            return args[0]
        if op == "mul" and numbers[0] == 1.0:
            return args[1]
        if op == "mul" and 0.0 in numbers:
            return self.scalar(0.0)
        if op == "neg":
            return self._negate(args[0])
        return None

    def _negate(self, value: Value) -> Value | None:
        return value.args[0] if value.op == "neg" else None


def walk(roots: Iterable[Value], products: list[Product]) -> list[Value]:
    """Return every value that ``roots`` need, arguments before their users."""
    order: list[Value] = []
    seen: set[Value] = set()

    def visit(value: Value) -> None:
        if value in seen:
            return
        seen.add(value)
        for argument in products[value.data[0]].operand if value.op == "product" else value.args:
            visit(argument)
        order.append(value)

    for root in roots:
        visit(root)
    return order


def evaluate(value: Value, known: dict[Value, Any]) -> Any:
    """Compute a value with torch operators from the tensors ``(..., width)`` of values in ``known``, and keep it."""
    if value in known:
        return known[value]
    if value.op == "scalar":
        return value.data[0]
    arguments = [evaluate(argument, known) for argument in value.args]
    if value.op in REDUCTIONS:
        result = REDUCTIONS[value.op](arguments[0], dim=-1, keepdim=True)
    elif value.op == "spread":
        one = arguments[0]
        if not isinstance(one, Tensor):  # a number: any tensor at hand tells the batch
            one = next(iter(known.values())).new_full((1,), one)
            one = one.expand(*next(iter(known.values())).shape[:-1], 1)
        result = one.expand(*one.shape[:-1], value.width)
    else:
        result = _call(value.op, arguments)
    known[value] = result
    return result


def _call(op: str, arguments: list[Any]) -> Any:
    """Call an operator some of whose arguments may be Python numbers where torch wants tensors."""
    if op in ("maximum", "minimum"):
        low_or_high = {"maximum": "min", "minimum": "max"}[op]
        number = [a for a in arguments if not isinstance(a, Tensor)]
        if number:
            return torch.clamp(next(a for a in arguments if isinstance(a, Tensor)), **{low_or_high: number[0]})
    if op in ("gt", "ge", "lt", "le", "eq", "ne", "sub", "div", "add", "mul") and not isinstance(arguments[0], Tensor):
        mirrored = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
        if op in mirrored or op in ("eq", "ne", "add", "mul"):
            return POINTWISE[mirrored.get(op, op)](arguments[1], arguments[0])
        return arguments[0] - arguments[1] if op == "sub" else arguments[0] / arguments[1]
    return POINTWISE[op](*arguments)
