"""One step of a kernel as text: what it fetches, hands on, multiplies, computes and stores."""

from collections.abc import Sequence
from itertools import groupby

from seqmodels.fusion.cuda.layout import Layout
from seqmodels.fusion.cuda.terms import Terms, carry_name
from seqmodels.fusion.ops import INPUTS, Op
from seqmodels.fusion.schedule import Pass, Target, Write
from seqmodels.fusion.values import Columns, Selection, Value

NEUTRAL = {Op.SUM: "0.f", Op.AMAX: "-INFINITY", Op.AMIN: "INFINITY"}
COMBINE = {Op.SUM: "f_add", Op.AMAX: "f_maximum", Op.AMIN: "f_minimum"}
OPERANDS = "a.operands + {} * a.operands_row + (int64_t)t * a.operands_time + {}"
"""Where a number begins in a row of operands: of which row, from which column on."""
FLOATS = "a.floats + ((int64_t)t * a.batch + b) * FLOATS + {}"


class StepWriter:
    """Writes the body of the loop over time, level after level of the program's products."""

    def __init__(self, layout: Layout, terms: Terms) -> None:
        self.layout, self.terms = layout, terms
        self.program, self.options = layout.program, layout.options
        self._lines: list[str] = []
        self._published: set[int] = set()
        self._shown: set[Value] = set()
        self._begin()
        self._begun, self._lines = self._lines, []

    def begin(self, when: str) -> list[str]:
        """Return what begins step ``when``; its streams have been fetched."""
        return ["  {", f"  const int next = {when};", "  {", "  const int t = next;", *self._begun, "  }", "  }"]

    def lines(self) -> list[str]:
        """Return the step. It ends by beginning the next one, and stores its last results only after that."""
        levels, late = sorted({key.level for key in self.layout.schedule.passes}), list[str]()
        first = min((each.level for each in self.layout.products), default=levels[-1])
        for level in levels:
            if level == first:
                self._before_waiting()
            self._multiply(level)
            for key, work in self.layout.schedule.passes.items():
                if key.level == level:
                    late += self._pass(key.width, work, last=level == levels[-1])
        self._advance()
        following = self.begin("t - 1" if self.program.backwards else "t + 1")
        self._add("  if (step + 1 < end) {", *following, "  }", *late)
        return self._lines

    def fetch(self, when: str) -> list[str]:
        """Return the loads of the streams of step ``when``, which are needed a step later.

        They stay as they are until then: a conversion would wait for memory, and other blocks for this one.
        """
        by_columns: dict[int, list[str]] = {}
        for (value, columns), name in self.terms.streams.items():
            source, start = value.columns
            column = f"{start}" if value.width == 1 else f"{start} + unit"
            at = f"a.s{source} + b * a.s{source}_row + ({when}) * a.s{source}_time + {column}"
            by_columns.setdefault(columns, []).append(f"if (in) next_{name}[e] = *({at});")
        for size in self.carried_widths() if self.options.ragged else ():
            flag = f"in && a.resets && a.resets[b * a.resets_row + ({when}) * a.resets_time]"
            by_columns.setdefault(size, []).append(f"next_reset{size}[e] = {flag};")
        return [line for columns, lines in by_columns.items() for line in self.terms.loop(columns, lines)]

    def carried_widths(self) -> list[int]:
        """Return the widths of the parts of carries."""
        return sorted({part.value.width for part in self.layout.parts})

    def _begin(self) -> None:
        """Take what was fetched, and hand on what depends on nothing else."""
        for (_, columns), name in self.terms.streams.items():
            self._add(f"  UNROLL for (int e = 0; e < E{columns}; e++) {name}[e] = load(next_{name} + e);")
        if self.options.ragged:
            for size in self.carried_widths():
                self._add(f"  UNROLL for (int e = 0; e < E{size}; e++) reset{size}[e] = next_reset{size}[e];")
        if self.options.ragged and not self.program.backwards:
            for part in self.layout.parts:
                name, size = carry_name(part.carry, part.start), part.value.width
                at = f"a.r{part.carry} + b * a.r{part.carry}_row + {part.start} + unit"
                self._each(size, [f"if (on && reset{size}[e]) {name}[e] = load({at});"])
        self._share_carries()
        self._hand_on()

    def _before_waiting(self) -> None:
        """Do what nobody waits for: fetch the streams of the next step, and store what this one began with."""
        self._add("  if (step + 1 < end) {", *self.fetch("t - 1" if self.program.backwards else "t + 1"), "  }")
        for key, work in self.layout.schedule.passes.items():
            self._each(key.width, self._writes(key.width, [w for w in work.writes if w.value.op in INPUTS]))

    def _add(self, *lines: str) -> None:
        self._lines += lines

    def _each(self, columns: int, lines: Sequence[str]) -> None:
        self._lines += self.terms.loop(columns, lines)

    def _share_carries(self) -> None:
        """Let all threads read carries of one number a row, and slices of carries that others own."""
        terms, layout = self.terms, self.layout
        if terms.singles:
            self._add("  __syncthreads();")  # those of the last step have been read
        alone = {key: place for key, place in terms.singles.items() if isinstance(key, Columns)}
        if alone:
            self._each(1, [f"if (in) single[{at} * ROWS + r] = {carry_name(*key)}[e];" for key, at in alone.items()])
            self._add("  __syncthreads();")
        for carry, at in layout.shown_carries.items():
            for part in (part for part in layout.parts if part.carry == carry):
                self._show(f"{at + part.start} + unit", part.value.width, f"{carry_name(carry, part.start)}[e]")
        for (value, columns), name in terms.gathered.items():
            carry, start = value.columns
            column = f"{layout.shown_carries[carry] + start}" + ("" if value.width == 1 else " + unit")
            self._each(columns, [f"{name}[e] = in ? await({FLOATS.format(column)}, dead) : 0.f;"])

    def _show(self, at: str, columns: int, term: str) -> None:
        """Put a number where any thread can read it; one of a row is put by one block."""
        alone = " && mine == 0" if columns == 1 else ""
        self._each(columns, [f"if (in{alone}) publish_float({FLOATS.format(at)}, {term});"])

    def _hand_on(self) -> None:
        """Put what other blocks multiply or read, as soon as it is there."""
        terms = self.terms
        for place, (value, at) in enumerate(self.layout.operands):
            if place in self._published or not terms.has(value, value.width):
                continue
            self._published.add(place)
            term, to = terms.term(value, value.width), OPERANDS.format("b", at)
            if value.width == 1:
                self._each(1, [f"if (in && mine == 0) publish_alone({to}, {term});"])
            else:
                self._each(value.width, [f"publish({to} + unit, in ? {term} : 0.f, in);"])
        for value, at in self.layout.floats.items():
            if value not in self._shown and terms.has(value, value.width):
                self._shown.add(value)
                self._show(f"{at} + unit", value.width, terms.term(value, value.width))

    def _multiply(self, level: int) -> None:
        """Run the products of a level, and add up the partial sums of its warps."""
        products = [each for each in self.layout.products if each.level == level]
        if not products:
            return
        half = f"half{level}"
        self._add(f"  float* const {half} = shared + (turn++ & 1) * HALF;")
        for each in products:
            sums = f"{half} + {self.layout.sums[each.number]}"
            arguments = f"{OPERANDS.format('base', each.at)}, a.operands_row, left, far{each.number}, {sums}, dead"
            self._add(f"  product{each.number}.run({arguments});")
        self._add("  __syncthreads();")
        for each in products:
            sums, start = f"{half} + {self.layout.sums[each.number]}", 0
            for gate in each.gates:
                size = gate.width
                column = f"{start}" if size == 1 else f"{start} + slot % B{size}"
                total = f"Product{each.number}::total({sums}, r, {column})"
                self._compute(gate, f"slot < ROWS * B{size} ? {total} : 0.f")
                start += 8 * self.layout.tiles(gate)

    def _compute(self, value: Value, expression: str, *before: str) -> None:
        """Compute a value from no other values."""
        self._add(self.terms.named(value, value.width))
        self._each(value.width, [*before, f"{self.terms.term(value, value.width)} = {expression};"])

    def _pass(self, columns: int, work: Pass, *, last: bool) -> list[str]:
        """Run a pass; return the stores that can be left until the next step has begun, those of the last level."""
        terms = self.terms
        for block in work.blocks:
            number, start = block.columns
            if isinstance(self.program.products[number], Selection):
                column = f"{start}" if columns == 1 else f"{start} + unit"
                moved = f"const int from = in ? move{number}[{column}] : -1;"
                self._compute(block, f"from < 0 ? 0.f : await({FLOATS.format('from')}, dead)", moved)
        lines = []
        for value in work.body:
            if (value, columns) not in terms.computed and value.op is not Op.SPREAD:
                expression = terms.expression(value, columns)
                self._add(terms.named(value, columns))
                lines.append(f"{terms.term(value, columns)} = {expression};")
        self._each(columns, lines)
        if columns == 1 and (read := [value for value in (*work.blocks, *work.body) if value in terms.singles]):
            self._each(1, [f"if (in) single[{terms.singles[v]} * ROWS + r] = {terms.term(v, 1)};" for v in read])
            self._add("  __syncthreads();")
        self._hand_on()
        for _, values in groupby(sorted(work.reductions, key=lambda v: v.op), key=lambda v: v.op):
            self._reduce(list(values), columns)
        self._hand_on()
        writes = [write for write in work.writes if write.value.op not in INPUTS]
        late = [write for write in writes if last and (write.value, columns) in terms.computed]
        self._each(columns, self._writes(columns, [write for write in writes if write not in late]))
        return terms.loop(columns, self._writes(columns, late))

    def _reduce(self, values: Sequence[Value], columns: int) -> None:
        """Make one number a row of the columns of each of some values, over all blocks of the team."""
        number, op, count = self.layout.reductions.index(values[0]), values[0].op, len(values)
        terms = [self.terms.term(value.args[0], columns) for value in values]
        places = [f"terms[{n} * ROWS * B{columns} + slot]" for n in range(count)]
        lines = [f"{at} = in ? {term} : {NEUTRAL[op]};" for at, term in zip(places, terms, strict=True)]
        self._each(columns, [f"if (slot < ROWS * B{columns}) {{", *lines, "}"])
        at = f"a.sums + (((int64_t)t * a.batch + base) * REDUCED + {number}) * BLOCKS, REDUCED * BLOCKS"
        combine = f"[](float x, float y) {{ return {COMBINE[op]}(x, y); }}"
        blocks = "1" if columns == 1 else "BLOCKS"  # a number a row is every block's
        arguments = f"{combine}, {NEUTRAL[op]}, terms, {at}, mine, left, whole + {number} * ROWS, dead"
        self._add(f"  reduce<B{columns}, {blocks}, {count}>({arguments});")
        self.terms.reduced.update(values)

    def _writes(self, columns: int, writes: Sequence[Write]) -> list[str]:
        lines = []
        alone = " && mine == 0" if columns == 1 else ""
        for target, index, start, value in writes:
            term = self.terms.term(value, columns)
            if target is Target.OUTPUT and index not in self.layout.aliases:
                at = f"a.o{index} + b * a.o{index}_row + t * a.o{index}_time + {start} + unit"
                lines.append(f"if (on{alone}) store({at}, {term});")
            elif target is Target.TOTAL:
                lines.append(f"if (on) total{index}_{start}[e] += {term};")
        return lines

    def _advance(self) -> None:
        """Carry what the program says on to the next step, in rows that have this one."""
        for size in self.carried_widths():
            parts = [part for part in self.layout.parts if part.value.width == size]
            names = [carry_name(part.carry, part.start) for part in parts]
            lines = [f"const float n{i} = {self.terms.term(part.value, size)};" for i, part in enumerate(parts)]
            lines += [f"if (on) {name}[e] = n{i};" for i, name in enumerate(names)]
            if self.options.ragged and self.program.backwards:
                reset = f"if (on && reset{size}[e])"
                lines += [f"{reset} first_{name}[e] += {name}[e], {name}[e] = 0.f;" for name in names]
            self._each(size, lines)
