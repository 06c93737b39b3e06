"""Programs for executors to run: drafts that note the weights they need, and programs drawn at random."""

from collections.abc import Sequence
from random import Random

from seqmodels.fusion.builder import Builder
from seqmodels.fusion.ops import Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Value, width

WIDE = 23
Group = tuple[Value, ...]


class Draft(Builder):
    """A builder that knows the shapes of the weights it multiplies with."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[tuple[int, int]] = []

    def times(self, operand: Sequence[Value], size: int, *, transposed: bool = False) -> Value:
        """Multiply with one more weight."""
        shape = (width(operand), size)
        self.weights.append(shape[::-1] if transposed else shape)
        return self.product(operand, len(self.weights) - 1, transposed, size)

    def program(
        self,
        outputs: Sequence[Group],
        carried: Sequence[Group],
        totals: Sequence[Group] = (),
        *,
        backwards: bool = False,
    ) -> Program:
        widths = (WIDE, WIDE), tuple(map(width, carried)), (WIDE,)
        groups = tuple(outputs), tuple(carried), tuple(totals)
        return Program(*widths, tuple(self.products), *groups, backwards=backwards)


def carry(b: Builder, n: int, start: int = 0) -> Value:
    return b.leaf(Op.CARRY, 0, start, n)


def stream(b: Builder, n: int, start: int = 0) -> Value:
    return b.leaf(Op.STREAM, 0, start, n)


UNARY = (Op.TANH, Op.SIGMOID, Op.RELU, Op.ABS, Op.NEG, Op.SIN, Op.EXP, Op.ERF, Op.COS)
BINARY = (Op.ADD, Op.SUB, Op.MUL, Op.MAXIMUM, Op.MINIMUM)  # none that jumps: rounding may tell equal numbers apart


class Drawn(Draft):
    """A program drawn at random: values of a few widths, carries that are passed on under other names, or products."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = Random(seed)
        draw = self.random
        self.sizes = draw.choices((1, 2, 5, 19), k=2)
        self.carries = [draw.choice(self.sizes) for _ in range(draw.randint(1, 4))]
        self.pool = [self.leaf(Op.CARRY, i, 0, size) for i, size in enumerate(self.carries)]
        for size in set(self.sizes):
            self.pool += [stream(self, size, draw.randint(0, 3)), self.leaf(Op.VECTOR, 0, draw.randint(0, 3), size)]
        kinds = [self._unary, self._chosen, self._gates, self._selected, self._reduced]
        kinds += 2 * [self._binary, self._product]
        for _ in range(draw.randint(2, 14)):
            self.pool.append(draw.choice(kinds)(draw.choice(self.sizes)))

    def any(self, size: int) -> Value:
        """Return one of the last values of a width, or columns of a wider one."""
        wide = [value for value in self.pool if value.width >= size][-6:]
        value = self.random.choice([value for value in self.pool if value.width == size][-6:] + wide)
        return self.cut(value, self.random.randint(0, value.width - size), size)

    def _any_row(self, most: int) -> list[Value]:
        """Return values side by side."""
        return [self.any(self.random.choice(self.sizes)) for _ in range(self.random.randint(1, most))]

    def _unary(self, size: int) -> Value:
        return self.apply(self.random.choice(UNARY), self.apply(Op.TANH, self.any(size)))

    def _binary(self, size: int) -> Value:
        return self.apply(self.random.choice(BINARY), self.any(size), self.any(self.random.choice((1, size, size))))

    def _chosen(self, size: int) -> Value:
        bound = self.apply(Op.ADD, self.any(self.random.choice((1, size))), self.scalar(0.1234))
        truth = self.apply(self.random.choice((Op.GT, Op.LE)), self.any(size), bound)
        return self.apply(Op.WHERE, truth, self.any(size), self.scalar(self.random.choice((0.0, 0.5))))

    def _product(self, size: int) -> Value:
        draw = self.random
        whole = self.times(self._any_row(2), draw.choice((size, size + 4)), transposed=draw.random() < 0.5)
        part = self.cut(whole, draw.randint(0, whole.width - size), size)
        return part if draw.random() < 0.5 else self.apply(Op.ADD, part, stream(self, size, draw.randint(0, 4)))

    def _gates(self, size: int) -> Value:
        whole = self.times(self._any_row(2), 2 * size)
        whole = self.apply(Op.ADD, whole, stream(self, 2 * size, 1)) if 2 * size < WIDE else whole
        names = self.random.choices((Op.SIGMOID, Op.TANH), k=2)
        gates = [self.apply(name, self.cut(whole, i * size, size)) for i, name in enumerate(names)]
        across = self.cut(whole, self.random.randint(0, size), size)
        return self.apply(Op.ADD, self.apply(Op.MUL, *gates), across) if self.random.random() < 0.5 else gates[0]

    def _selected(self, size: int) -> Value:
        operand = self._any_row(3)
        return self.select(operand, [self.random.randint(-1, width(operand) - 1) for _ in range(size)])

    def _reduced(self, size: int) -> Value:
        op = self.random.choice((Op.SUM, Op.AMAX, Op.AMIN))
        one = self.reduce(op, self.any(self.random.choice(self.sizes)))
        return self.apply(Op.MUL, self.apply(Op.SIN, one), self.any(size))

    def _carried(self, size: int) -> Group:
        """Return what a carry becomes: mostly another carry, or a product."""
        same = [self.leaf(Op.CARRY, i, 0, size) for i, other in enumerate(self.carries) if other == size]
        kind = self.random.choice(("carry", "carry", "product", "sum", "any", "parts"))
        if kind == "carry":
            return (self.random.choice(same),)
        if kind == "parts" and size > 1:
            return self.any(1), self.spread(self.any(size - 1) if size - 1 in self.sizes else self.any(1), size - 1)
        if kind in ("product", "sum"):
            whole = self.times([self.any(self.random.choice(self.sizes))], size)
            return (whole if kind == "product" else self.apply(Op.ADD, whole, self.random.choice(same)),)
        return (self.spread(self.any(size), size),)

    def whole(self) -> Program:
        draw = self.random
        carried = [self._carried(size) for size in self.carries]
        outputs = [tuple(draw.choices(self.pool, k=draw.randint(1, 2)))]
        more = [(value,) for value in (*self.pool[: len(carried)], *draw.sample(self.pool, 2))] + carried
        outputs += draw.sample(more, draw.randint(0, len(more)))
        totals = [tuple(draw.choices(self.pool, k=2))] if draw.random() < 0.5 else []
        return self.program(outputs, carried, totals, backwards=draw.random() < 0.5)
