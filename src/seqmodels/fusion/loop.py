"""A program sorted for the portable executor: what is computed in bulk, what in the loop, and where results lie."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seqmodels.fusion.program import Mover, Program, width
from seqmodels.fusion.values import Builder, Product, Value, inner, is_number, number_of, walk

FACTORS = 32
"""How many factors of a product of numbers are looked at together: enough for derivatives."""


@dataclass(frozen=True)
class Place:
    """Columns of a buffer that the loop writes a row of at every step; ``shift`` 1 is the row of the step after."""

    buffer: int
    start: int
    width: int
    shift: int = 0


@dataclass
class Buffer:
    """Rows of all steps: one or several output streams side by side, or a total, whose rows are added up."""

    width: int
    total: bool = False
    carry: int | None = None
    """The carry whose values before each step these are; then there is a row more, for what the last step leaves."""


class Sorted:
    """A program sorted into what the streams alone decide (early) and what hangs on the carries (late).

    ``buffers`` hold the outputs and totals: ``outputs`` and ``totals`` say, group by group, where; ``followed`` are
    those outputs that another one holds a step later. ``places`` says where a late value that is wanted is written;
    ``copies`` are further places that it is copied to in bulk.
    """

    def __init__(self, program: Program) -> None:
        self.program = program = _rewrite(program)
        self.order = program.values()
        self.late = _late(self.order, program.products)
        self.users = self._users()
        self.parts = self._parts()
        self.added = self._addends()
        self.column = {v: (j, _start(v, j)) for j in self.parts for v in self.results(j)}
        sums = {value for _, made in self.added.values() for value in made}
        used = {v for late in self.late if late not in sums for v in inner(late, program.products)}
        used |= {v for group in (*program.outputs, *program.totals, *program.carried) for v in group}
        early = [v for v in self.order if v in used and v not in self.late and not is_number(v)]
        self.early = list(dict.fromkeys([*early, *(leaf for leaf, _ in self.added.values())]))
        self.leaves = [v for v in walk(self.early, list(program.products)) if v.op in ("stream", "vector")]
        moving = _dependent([*self.order, *self.early], program.products, ("stream", "carry", "product"))
        self.still = {v for v in self.early if v not in moving}
        self.runs = self._runs()
        self._lay_out()

    def _users(self) -> dict[Value, list[Value | None]]:
        """Return who uses each value: values, and None for each time that it is a result of the program."""
        users: dict[Value, list[Value | None]] = {value: [] for value in self.order}
        for value in self.order:
            for argument in inner(value, self.program.products):
                users[argument].append(value)
        for root in self.program.roots:
            users[root].append(None)
        return users

    def _addends(self) -> dict[int, tuple[Value, list[Value]]]:
        """Find products whose columns are only ever added to those of one stream or vector: one operator does both.

        Return, by product, the leaf and the sums that it makes.
        """
        found, build = {}, Builder()
        for index, parts in self.parts.items():
            product = self.program.products[index]
            sums = list(dict.fromkeys(user for part in parts for user in self.users[part] if user is not None))
            places = {_addend(part, user) for part in parts for user in self.users[part]}
            covered = {column for part in parts for column in range(part.data[1], part.data[1] + part.width)}
            if len(covered) == product.width and len(places) == 1 and (place := places.pop()) is not None:
                leaf = build.leaf(*place, product.width)
                leaf = next(
                    (v for v in self.order if (v.op, v.data, v.width) == (leaf.op, leaf.data, leaf.width)), leaf
                )
                found[index] = leaf, sums
        return found

    def _parts(self) -> dict[int, list[Value]]:
        """Return, by product, the values that are columns of it."""
        parts: dict[int, list[Value]] = {index: [] for index in range(len(self.program.products))}
        for value in self.order:
            if value.op == "product":
                parts[value.data[0]].append(value)
        return {index: values for index, values in parts.items() if values}

    def results(self, index: int) -> list[Value]:
        """Return the values that are columns of what a product, with its addend, comes to."""
        return [*self.parts[index], *self.added[index][1]] if index in self.added else self.parts[index]

    def _runs(self) -> dict[int, list[list[Value]]]:
        """Find, by product, sigmoids and tanhs of columns side by side that nothing else reads."""
        found: dict[int, list[list[Value]]] = {}
        for value in self.order:
            if value.op not in ("sigmoid", "tanh") or value.args[0] not in self.column:
                continue
            if self.users[value.args[0]] == [value] and not self._is_shared(value.args[0]):
                found.setdefault(self.column[value.args[0]][0], []).append([value])
        for index, runs in found.items():
            runs.sort(key=lambda run: self.column[run[0].args[0]][1])
            joined: list[list[Value]] = []
            for (value,) in runs:
                if joined and self._end(joined[-1][-1]) == self.column[value.args[0]][1]:
                    joined[-1].append(value)
                else:
                    joined.append([value])
            found[index] = joined
        return found

    def _is_shared(self, part: Value) -> bool:
        """Say whether other columns that are read overlap those of a part, which is changed in place."""
        index, start = self.column[part]
        read = self.added[index][1] if index in self.added else self.parts[index]
        others = [value for value in read if value is not part]
        return any(self.column[v][1] < start + part.width and start < self.column[v][1] + v.width for v in others)

    def _end(self, activation: Value) -> int:
        return self.column[activation.args[0]][1] + activation.width

    def _lay_out(self) -> None:
        """Give every output and total a buffer, and every late value that is wanted a place."""
        program = self.program
        self.buffers: list[Buffer] = []
        places: dict[int, Place] = {}
        self.places: dict[Value, Place] = {}
        bundles, begun = self._bundles(), dict[tuple[int, ...], int]()
        following = program.following()
        held = {program.outputs[i][0]: i for i in reversed(following)}  # a value is written to one such row
        following = {i: following[i] for value, i in held.items() if value in self.late}
        for index in (i for i in range(len(program.outputs)) if i not in following):
            bundle = bundles.get(index, (index,))
            sizes = [width(program.outputs[i]) for i in bundle]
            if bundle not in begun:
                begun[bundle] = len(self.buffers)
                self.buffers.append(Buffer(sum(sizes)))
            at = bundle.index(index)
            places[index] = Place(begun[bundle], sum(sizes[:at]), sizes[at])
        for index, before in following.items():
            places[index] = replace(places[before], shift=1)
        self.outputs = [places[index] for index in range(len(program.outputs))]
        self.followed = [places[index] for index in following.values()]
        first, sizes = len(self.buffers), [width(group) for group in program.totals]
        self.totals = [Place(first + i, 0, size) for i, size in enumerate(sizes)]
        self.buffers += [Buffer(size, total=True) for size in sizes]
        self._follow_carries()
        self.copies: list[tuple[Place, Place]] = []
        # the last output first: the first one is the cell's, whose rows lie far apart
        groups = [*reversed(list(zip(self.outputs, program.outputs, strict=True)))]
        groups += zip(self.totals, program.totals, strict=True)
        for whole, group in groups:
            start = whole.start
            for value in group:
                if value in self.late and self.buffers[whole.buffer].carry is None:
                    wanted = Place(whole.buffer, start, value.width)
                    if (written := self.places.setdefault(value, wanted)) is not wanted:
                        self.copies.append((written, wanted))
                start += value.width

    def _bundles(self) -> dict[int, tuple[int, ...]]:
        """Find outputs that one activation of columns side by side writes: they share a buffer. By output, all of it.

        Outputs share memory only in a forward program, where all but the first are kept for the backward pass and
        seen by nobody; the gradients that a backward program returns are autograd's to change.
        """
        single = {} if self.program.backwards else {g[0]: i for i, g in enumerate(self.program.outputs) if len(g) == 1}
        found: dict[int, tuple[int, ...]] = {}
        for run in (run for runs in self.runs.values() for run in runs):
            indices = tuple(single.get(value, 0) for value in run)
            if len(run) > 1 and 0 not in indices and not any(self._is_carried(value) for value in run):
                found |= dict.fromkeys(indices, indices)
        return found

    def _is_carried(self, value: Value) -> bool:
        return any(group == (value,) for group in self.program.carried)

    def _follow_carries(self) -> None:
        """Let a carry's new value be written where it is kept for the step after anyway."""
        if self.program.backwards:
            return
        for index, (place, group) in enumerate(zip(self.outputs, self.program.outputs, strict=True)):
            value = group[0]
            if index == 0 or place.shift or len(group) > 1 or value.op != "carry":
                continue
            carry, offset = value.data
            after = self.program.carried[carry]
            whole = offset == 0 and value.width == self.program.carries[carry]
            if whole and len(after) == 1 and after[0] in self.late and after[0] not in self.places:
                self.buffers[place.buffer].carry = carry
                self.places[after[0]] = replace(place, shift=1)


def _late(order: Sequence[Value], products: Sequence[Product]) -> set[Value]:
    """Return the values that hang on the carries: they are computed in the loop, and so are all products."""
    return _dependent(order, products, ("carry", "product"))


def _dependent(order: Sequence[Value], products: Sequence[Product], ops: Sequence[str]) -> set[Value]:
    """Return those of values in order that are, or are computed from, one of some operators or leaves."""
    found: set[Value] = set()
    for value in order:
        if value.op in ops or any(argument in found for argument in inner(value, products)):
            found.add(value)
    return found


def _addend(part: Value, user: Value | None) -> tuple[str, int, int] | None:
    """Return the stream or vector that ``user`` adds to the part, and its column that meets the product's column 0."""
    if user is None or user.op != "add" or user.width != part.width:
        return None
    other = user.args[0] if user.args[1] is part else user.args[1]
    if other.op not in ("stream", "vector") or other.width != part.width or other.data[1] < part.data[1]:
        return None
    return other.op, other.data[0], other.data[1] - part.data[1]


def _start(part: Value, index: int) -> int:
    """Return the first column of a part of a product, or of the sum that was made with it."""
    if part.op != "product":
        part = next(a for a in part.args if a.op == "product" and a.data[0] == index)
    return int(part.data[1])


def _rewrite(program: Program) -> Program:
    """Write what the loop computes in operators that take less of it.

    (late * early) * early becomes late * (early * early): one operator less in the loop, the rest in bulk. The gradient
    of relu, where(v <= 0, 0, late), becomes "threshold"(late, v), which is ten times as quick on CPUs.
    """
    late = _late(program.values(), program.products)

    def factors(value: Value) -> tuple[list[Value], list[Value]]:
        found: tuple[list[Value], list[Value]] = [], []
        pending = [value]
        while pending:
            value = pending.pop()
            if value in late and value.op == "mul" and sum(map(len, found)) + len(pending) < FACTORS:
                pending += reversed(value.args)
            else:
                found[value not in late].append(value)
        return found

    def change(mover: Mover, value: Value) -> Value | None:
        if value in late and value.op == "where" and (relu := _relu_gradient(value)) is not None:
            return mover.builder.apply("threshold", *map(mover, relu))
        if value.op != "mul" or value not in late:
            return None
        (first, *more), early = factors(value)
        if more or len(early) < 2:
            return None
        factor = mover(early[0])
        for other in early[1:]:
            factor = mover.builder.apply("mul", factor, mover(other))
        return mover.builder.apply("mul", mover(first), factor)

    mover = Mover(program.products, change)
    outputs, carried, totals = map(mover.groups, (program.outputs, program.carried, program.totals))
    sizes = (program.streams, program.carries, program.vectors)
    products = tuple(mover.builder.products)
    return Program(*sizes, products, outputs, carried, totals, backwards=program.backwards)


def _relu_gradient(value: Value) -> tuple[Value, Value] | None:
    """Return x and v where a value is ``where(v <= 0, 0, x)``, all of one width."""
    condition, zero, x = value.args
    if condition.op != "le" or not (is_number(zero) and number_of(zero) == 0):
        return None
    v, bound = condition.args
    alike = v.width == x.width == value.width and not is_number(v) and not is_number(x)
    return (x, v) if alike and is_number(bound) and number_of(bound) == 0 else None
