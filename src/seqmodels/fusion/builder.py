"""Making values: interned, sliced lazily, and simplified."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch

from seqmodels.fusion.ops import COMMUTATIVE, LOGICAL, POINTWISE, REDUCTIONS, TRUTHS, Op
from seqmodels.fusion.values import Columns, Number, Product, Selection, Value, in_order, width


class Builder:
    """Interns values, and simplifies what derivatives of products and sums leave to simplify."""

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
        if op in COMMUTATIVE and args[0].op is Op.SCALAR:
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
