"""A program as CUDA C++: one kernel that runs a whole sequence."""

import math
from collections.abc import Iterable

from seqmodels.fusion.cuda.layout import Layout, Multiplied, Options
from seqmodels.fusion.cuda.prelude import NAME, text_of
from seqmodels.fusion.ops import INPUTS, LOGICAL, REDUCTIONS, TRUTHS, Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.schedule import Pass, Target
from seqmodels.fusion.values import Product, Selection, Value, width

INFIX = {Op.ADD: "+", Op.SUB: "-", Op.MUL: "*", Op.DIV: "/", Op.AND: "&", Op.OR: "|", Op.XOR: "^"}
INFIX |= {Op.GT: ">", Op.GE: ">=", Op.LT: "<", Op.LE: "<=", Op.EQ: "==", Op.NE: "!="}
PREFIX = {Op.NEG: "-", Op.NOT: "!"}
NEUTRAL = {Op.SUM: "0.f", Op.AMAX: "-INFINITY", Op.AMIN: "INFINITY"}
COMBINE = {Op.SUM: "f_add", Op.AMAX: "f_maximum", Op.AMIN: "f_minimum"}


class Source:
    """The text of a kernel after the prelude, and what a launch must know.

    Attributes:
        text: CUDA C++; it defines the kernel ``NAME``, whose argument is a ``struct Args`` of words of 8 bytes.
        shared_bytes: shared memory of a block.
        weights: the numbers of the weights that it takes, in order.
    """

    def __init__(self, program: Program, options: Options) -> None:
        emitter = _Emitter(Layout(program, options))
        self.text = "\n".join(emitter.whole()) + "\n"
        self.shared_bytes = 4 * emitter.layout.shared_floats(len(emitter.singles))
        self.weights = emitter.weights
        self.words = 11 + 3 * len(program.streams) + 5 * len(program.carries) + len(program.vectors)
        self.words += 3 * len(self.weights) + 3 * len(program.outputs) + len(program.totals)
        self.layout = emitter.layout


class _Emitter:
    def __init__(self, layout: Layout) -> None:
        self.layout, self.program, self.options = layout, layout.program, layout.options
        self.lines: list[str] = []
        self.names: dict[tuple[Value, int], str] = {}  # what a thread has, by the width whose columns it owns
        self.singles: dict[Value | tuple[int, int], int] = {}  # numbers a row that all threads of a block may read
        self.streams: dict[tuple[Value, int], str] = {}
        self.vectors: dict[tuple[Value, int], str] = {}
        self.gathered: dict[tuple[Value, int], str] = {}  # slices of a carry that others own
        self.weights = sorted({each.product.weight for each in layout.products})
        self.published: set[int] = set()
        self.shown: set[Value] = set()
        self._find_leaves()

    # ---- what is read where

    def _find_leaves(self) -> None:
        """Name every leaf that a thread reads, and every number a row that others compute."""
        for key, work in self.layout.schedule.passes.items():
            computed = {*work.blocks, *work.body}
            used = [argument for value in work.body for argument in value.args]
            used += [value.args[0] for value in work.reductions] + [write.value for write in work.writes] + work.kept
            for value in used:
                self._note(value, key.width, computed)
        for value, _ in self.layout.operands:
            self._note(value, value.width, set())
        for value in self.layout.floats:
            self._note(value, value.width, set())

    def _note(self, value: Value, columns: int, computed: set[Value]) -> None:
        if value.op is Op.SPREAD:
            value = value.args[0]
        index = len(self.streams) + len(self.vectors) + len(self.gathered)
        key = (value, columns)
        if value.op is Op.STREAM:
            self.streams.setdefault(key, f"s{index}")
        elif value.op is Op.VECTOR:
            self.vectors.setdefault(key, f"v{index}")
        elif value.op is Op.CARRY:
            if not self.layout.owned(value):
                self.gathered.setdefault(key, f"g{index}")
            elif columns > 1 and value.width == 1:
                self.singles.setdefault(tuple(value.columns), len(self.singles))
        elif value.width == 1 and columns > 1 and value.level > 0 and value not in computed:
            if value.args and value.op not in REDUCTIONS or value.op is Op.PRODUCT:
                self.singles.setdefault(value, len(self.singles))

    # ---- text

    def add(self, *lines: str) -> None:
        self.lines += lines

    def each(self, columns: int, lines: Iterable[str], indent: str = "  ") -> None:
        """Add a loop over the numbers of a thread, of values that are ``columns`` wide."""
        lines = list(lines)
        if not lines:
            return
        unit = "0" if columns == 1 else f"mine * B{columns} + slot % B{columns}"
        inside = "" if columns == 1 else f" && unit < {columns}"
        active = f"in && t < length{columns}[e]" if self.options.ragged else "in"
        self.add(
            f"{indent}UNROLL for (int e = 0; e < E{columns}; e++) {{",
            f"{indent}  const int slot = threadIdx.x + e * THREADS, r = slot / B{columns}, unit = {unit};",
            f"{indent}  const int64_t b = base + r;",
            f"{indent}  const bool in = slot < ROWS * B{columns} && r < left{inside}, on = {active};",
            f"{indent}  (void)b, (void)unit, (void)on;",
            *(f"{indent}  {line}" for line in lines),
            f"{indent}}}",
        )

    def term(self, value: Value, columns: int) -> str:
        """Return an expression for the number that a thread has of a value."""
        if value.op is Op.SPREAD:
            value = value.args[0]
        key = (value, columns)
        if value.op is Op.SCALAR:
            return _literal(value.number)
        if value.op in REDUCTIONS:
            return f"whole[{self.layout.reductions.index(value)} * ROWS + (r < ROWS ? r : 0)]"
        for kind in (self.streams, self.vectors, self.gathered, self.names):
            if key in kind:
                return f"{kind[key]}[e]"
        if value.op is Op.CARRY and value.width == columns:
            return f"{_carry(*value.columns)}[e]"
        single = tuple(value.columns) if value.op is Op.CARRY else value
        assert value.width == 1, (value, columns)
        return f"single[{self.singles[single]} * ROWS + (r < ROWS ? r : 0)]"

    def _has(self, value: Value, columns: int) -> bool:
        """Return whether a thread can read its numbers of a value by now."""
        if value.op is Op.SPREAD:
            return self._has(value.args[0], columns)
        if value.op in REDUCTIONS:
            return value in self.reduced
        alone = value in self.singles and (value, 1) in self.names
        return value.op in INPUTS or value.op is Op.SCALAR or (value, columns) in self.names or alone

    def whole(self) -> Iterable[str]:
        """Yield the lines of the text."""
        o, layout = self.options, self.layout
        self._kernel()
        yield f"constexpr int WK = {o.depth_warps}, WN = {o.column_warps}, MT = {o.row_tiles}, KEEP = {o.kept};"
        yield f"constexpr int PARTS = {o.parts}, BLOCKS = {o.blocks};"
        yield text_of("kernel.cuh")
        yield from self._arguments()
        for size in self._sizes():
            b = layout.columns(size)
            yield f"constexpr int B{size} = {b}, E{size} = (ROWS * {b} + THREADS - 1) / THREADS;"
        yield from map(self._table, layout.selections)
        for each in layout.products:
            tiles = sum(map(layout.tiles, each.gates))
            yield f"typedef Product<{each.chunks}, {tiles}> Product{each.number};"
        yield f"KERNEL({NAME}) {{"
        yield from self.lines
        yield "}"

    def _arguments(self) -> list[str]:
        fields = ["int64_t time, batch, groups", "const int64_t* lengths", "const uint8_t* resets"]
        fields += ["int64_t resets_row, resets_time", "void* status", "T* operands", "float *floats, *sums"]
        fields += [f"const T* s{i}; int64_t s{i}_row, s{i}_time" for i in range(len(self.program.streams))]
        fields += [f"const T* c{i}; int64_t c{i}_row; const T* r{i}; int64_t r{i}_row; T* e{i}" for i in range(len(self.program.carries))]
        fields += [f"const T* v{i}" for i in range(len(self.program.vectors))]
        fields += [f"const T* w{i}; int64_t w{i}_row, w{i}_column" for i in self.weights]
        fields += [f"T* o{i}; int64_t o{i}_row, o{i}_time" for i in range(len(self.program.outputs))]
        fields += [f"float* t{i}" for i in range(len(self.program.totals))]
        return ["struct Args {", *(f"  {field};" for field in fields), "};"]

    def _table(self, number: int) -> str:
        """Return the table of where the columns of a selection lie in a row of floats."""
        selection = self.program.products[number]
        assert isinstance(selection, Selection)
        places = [self.layout.floats[piece] + column for piece in selection.operand for column in range(piece.width)]
        columns = ", ".join(str(places[column] if column >= 0 else -1) for column in selection.columns)
        return f"TABLE int move{number}[] = {{{columns}}};"

    # ---- the kernel

    def _kernel(self) -> None:
        layout, program = self.layout, self.program
        sums, shared = layout.sums, "2 * HALF"
        self.add(
            f"  constexpr int HALF = {layout.sums_size}, OPERANDS = {layout.operand_width};",
            f"  constexpr int FLOATS = {layout.float_width}, REDUCED = {len(layout.reductions)};",
            "  SHARED_MEMORY(shared);",
            "  const int mine = blockIdx.x % BLOCKS, teams = gridDim.x / BLOCKS;",
            "  bool dead = false;",
            "  int turn = 0;",
        )
        for each in layout.products:
            self.add(f"  uint4* far{each.number} = (uint4*)(shared + {shared});")
            shared += f" + {4 * layout.far(each)}"
        self.add(
            f"  float* terms = shared + {shared};",
            f"  float* whole = terms + {layout.terms};",
            "  float* single = whole + REDUCED * ROWS;",
            "  (void)terms, (void)whole, (void)single, (void)turn, (void)OPERANDS, (void)FLOATS;",
        )
        for each in layout.products:
            self._fill(each)
        for (value, columns), name in self.vectors.items():
            source, start = value.columns
            column = f"{start}" if value.width == 1 else f"{start} + unit"
            self.add(f"  float {name}[E{columns}];")
            unit = "0" if columns == 1 else f"mine * B{columns} + slot % B{columns}"
            self.add(
                f"  UNROLL for (int e = 0; e < E{columns}; e++) {{",
                f"    const int slot = threadIdx.x + e * THREADS, unit = {unit};",
                f"    {name}[e] = unit < {columns} ? load(a.v{source} + {column}) : 0.f;",
                "  }",
            )
        self.add(
            "  for (int group = blockIdx.x / BLOCKS; group < (int)a.groups; group += teams) {",
            "  const int64_t base = (int64_t)group * ROWS;",
            "  const int left = a.batch - base < ROWS ? (int)(a.batch - base) : ROWS;",
        )
        self._begin()
        self.add("  for (int step = 0; step < end; step++) {")
        self.add(f"  const int t = {'end - 1 - step' if program.backwards else 'step'};")
        self._step(sums)
        self.add("  }")
        self._finish()
        self.add("  }", "  if (dead) report(a.status);")

    def _fill(self, each: Multiplied) -> None:
        """Load the weight's columns that this block multiplies with."""
        weight, start, lines = each.product.weight, 0, []
        row, column = ("column", "row") if each.product.transposed else ("row", "column")
        place = f"{row} * a.w{weight}_row + {column} * a.w{weight}_column"
        for gate in each.gates:
            count = self.layout.columns(gate.width)
            first = "" if gate.width == 1 else f"mine * {count} + "
            lines.append(
                f"if (n >= {start} && n < {start + count} && {first}n - {start} < {gate.width}) "
                f"column = {gate.columns.start} + {first}n - {start};"
            )
            start += 8 * self.layout.tiles(gate)
        begin = depth = 0
        for piece in each.product.operand:
            count = self.layout.padded(piece)
            lines.append(f"if (k >= {begin} && k < {begin + piece.width}) row = {depth} + k - {begin};")
            begin, depth = begin + count, depth + piece.width
        self.add(
            f"  Product{each.number} product{each.number};",
            f"  product{each.number}.fill(far{each.number}, [&](int n, int chunk, int k) -> uint32_t {{",
            "    int column = -1, row = -1;",
            "    k += chunk * CHUNK;",
            *(f"    {line}" for line in lines),
            "    if (column < 0 || row < 0) return 0;",
            f"    return bits(a.w{weight} + {place});",
            "  });",
        )

    def _begin(self) -> None:
        """Load the carries of a group of rows, and the streams of its first step."""
        ragged, back = self.options.ragged, self.program.backwards
        self.add("  int end = (int)a.time;")
        if ragged:
            self.add(
                "  if (a.lengths) {",
                "    int64_t most = 0;",
                "    for (int r = 0; r < left; r++) most = most > a.lengths[base + r] ? most : a.lengths[base + r];",
                "    end = most < end ? (int)most : end;",
                "  }",
            )
            for size in self._sizes():
                self.add(f"  int length{size}[E{size}];", f"  bool anew{size}[E{size}], next_anew{size}[E{size}];")
                self.add(
                    f"  UNROLL for (int e = 0; e < E{size}; e++) {{",
                    f"    const int r = (threadIdx.x + e * THREADS) / B{size};",
                    f"    length{size}[e] = r < left ? (a.lengths ? (int)a.lengths[base + r] : end) : 0;",
                    f"    anew{size}[e] = next_anew{size}[e] = false;",
                    "  }",
                )
        self.add("  int t = 0;", "  (void)t;")
        for part in self.layout.parts:
            size, name = part.value.width, _carry(part.carry, part.start)
            zeros = f", first_{name}[E{size}]" if ragged and back else ""
            self.add(f"  float {name}[E{size}]{zeros};")
            at = f"a.c{part.carry} + b * a.c{part.carry}_row + {part.start} + unit"
            lines = [f"{name}[e] = in ? load({at}) : 0.f;"]
            self.each(size, lines + ([f"first_{name}[e] = 0.f;"] if zeros else []))
        for i, group in enumerate(self.program.totals):
            for place, value in enumerate(group):
                self.add(f"  float total{i}_{place}[E{value.width}];")
                self.each(value.width, [f"total{i}_{place}[e] = 0.f;"])
        for (_, columns), name in self.streams.items():
            self.add(f"  float {name}[E{columns}], next_{name}[E{columns}];")
        first = "end - 1" if back else "0"
        for (_, columns), name in self.streams.items():
            self.each(columns, [f"next_{name}[e] = 0.f;"])
        self.add("  if (end > 0) {")
        self._fetch(first)
        self.add("  }")

    def _sizes(self) -> list[int]:
        """Return the widths of everything that threads share out."""
        layout = self.layout
        sizes = {key.width for key in layout.schedule.passes} | {part.value.width for part in layout.parts}
        sizes |= {columns for kind in (self.streams, self.vectors, self.gathered) for _, columns in kind}
        sizes |= {value.width for value, _ in layout.operands} | {value.width for value in layout.floats} | {1}
        return sorted(sizes | {value.width for group in self.program.totals for value in group})

    def _fetch(self, when: str) -> None:
        """Load the streams of a step, which are needed a step later."""
        by_columns: dict[int, list[str]] = {}
        for (value, columns), name in self.streams.items():
            source, start = value.columns
            column = f"{start}" if value.width == 1 else f"{start} + unit"
            at = f"a.s{source} + b * a.s{source}_row + ({when}) * a.s{source}_time + {column}"
            by_columns.setdefault(columns, []).append(f"next_{name}[e] = load({at});")
        if self.options.ragged:
            for size in self._sizes():
                at = f"a.resets[b * a.resets_row + ({when}) * a.resets_time]"
                by_columns.setdefault(size, []).append(f"next_anew{size}[e] = a.resets && {at};")
        for columns, lines in by_columns.items():
            self.each(columns, ["if (in) {", *(f"  {line}" for line in lines), "}"], "    ")

    def _step(self, sums: dict[int, int]) -> None:
        layout, ragged, back = self.layout, self.options.ragged, self.program.backwards
        self.reduced: set[Value] = set()
        for (_, columns), name in self.streams.items():
            self.add(f"  UNROLL for (int e = 0; e < E{columns}; e++) {name}[e] = next_{name}[e];")
        if ragged:
            for size in self._sizes():
                self.add(f"  UNROLL for (int e = 0; e < E{size}; e++) anew{size}[e] = next_anew{size}[e];")
        self.add("  if (step + 1 < end) {")
        self._fetch("t - 1" if back else "t + 1")
        self.add("  }")
        if ragged and not back:
            for part in layout.parts:
                name, size = _carry(part.carry, part.start), part.value.width
                at = f"a.r{part.carry} + b * a.r{part.carry}_row + {part.start} + unit"
                self.each(size, [f"if (on && anew{size}[e]) {name}[e] = load({at});"])
        self._share_carries()
        self._publish()
        levels = sorted({key.level for key in layout.schedule.passes})
        for level in levels:
            if products := [each for each in layout.products if each.level == level]:
                half = f"half{level}"
                self.add(f"  float* const {half} = shared + (turn++ & 1) * HALF;")
                for each in products:
                    at = f"a.operands + ((int64_t)t * a.batch + base) * OPERANDS + {each.at}"
                    into = f"{half} + {sums[each.number]}"
                    self.add(f"  product{each.number}.run({at}, OPERANDS, left, far{each.number}, {into}, dead);")
                self.add("  __syncthreads();")
                for each in products:
                    self._totals(each, f"{half} + {sums[each.number]}")
            for key, work in layout.schedule.passes.items():
                if key.level == level:
                    self._pass(key.width, work)
        self._advance()

    def _share_carries(self) -> None:
        """Let all threads read the carries of one number a row, and slices of carries that others own."""
        lines = [
            f"if (in) single[{place} * ROWS + r] = {_carry(*key)}[e];"
            for key, place in self.singles.items()
            if isinstance(key, tuple)
        ]
        if self.singles:
            self.add("  __syncthreads();")  # the last step's have been read
        if lines:
            self.each(1, lines)
            self.add("  __syncthreads();")
        for carry, at in self.layout.shown_carries.items():
            for part in (part for part in self.layout.parts if part.carry == carry):
                to = f"a.floats + ((int64_t)t * a.batch + b) * FLOATS + {at + part.start} + unit"
                size = part.value.width
                alone = " && mine == 0" if size == 1 else ""
                self.each(size, [f"if (in{alone}) publish_float({to}, {_carry(carry, part.start)}[e]);"])
        for (value, columns), name in self.gathered.items():
            carry, start = value.columns
            column = "" if value.width == 1 else " + unit"
            at = f"a.floats + ((int64_t)t * a.batch + b) * FLOATS + {self.layout.shown_carries[carry] + start}{column}"
            self.add(f"  float {name}[E{columns}];")
            self.each(columns, [f"{name}[e] = in ? await({at}, dead) : 0.f;"])

    def _publish(self) -> None:
        """Hand on what other blocks multiply or read, as soon as it is there."""
        for place, (value, at) in enumerate(self.layout.operands):
            if place in self.published or not self._has(value, value.width):
                continue
            self.published.add(place)
            term, to = self.term(value, value.width), f"a.operands + ((int64_t)t * a.batch + b) * OPERANDS + {at}"
            if value.width == 1:
                self.each(1, [f"if (in && mine == 0) publish_alone({to}, {term});"])
            else:
                self.each(value.width, [f"publish({to} + unit, in ? {term} : 0.f, in);"])
        for value, at in self.layout.floats.items():
            if value in self.shown or not self._has(value, value.width):
                continue
            self.shown.add(value)
            to = f"a.floats + ((int64_t)t * a.batch + b) * FLOATS + {at} + unit"
            alone = " && mine == 0" if value.width == 1 else ""
            self.each(value.width, [f"if (in{alone}) publish_float({to}, {self.term(value, value.width)});"])

    def _name(self, value: Value, columns: int) -> str:
        name = self.names[value, columns] = f"u{len(self.names)}"
        self.add(f"  {'bool' if value.op in TRUTHS else 'float'} {name}[E{columns}];")
        return name

    def _totals(self, each: Multiplied, sums: str) -> None:
        """Add up the partial sums of a product."""
        start = 0
        for gate in each.gates:
            size = gate.width
            column = f"{start}" if size == 1 else f"{start} + slot % B{size}"
            name = self._name(gate, size)
            inside = f"slot < ROWS * B{size}"
            self.each(size, [f"{name}[e] = {inside} ? Product{each.number}::total({sums}, r, {column}) : 0.f;"])
            start += 8 * self.layout.tiles(gate)

    def _pass(self, columns: int, work: Pass) -> None:
        for block in work.blocks:
            if isinstance(self.program.products[block.columns.source], Selection):
                self._selected(block)
        lines = []
        for value in work.body:
            if (value, columns) in self.names or value.op is Op.SPREAD:
                continue
            expression = self._expression(value, columns)
            lines.append(f"{self._name(value, columns)}[e] = {expression};")
        self.each(columns, lines)
        stored = [value for value in self.singles if isinstance(value, Value) and (value, 1) in self.names]
        stored = [value for value in stored if columns == 1 and (value in work.body or value in work.blocks)]
        if stored:
            self.each(1, [f"if (in) single[{self.singles[v]} * ROWS + r] = {self.term(v, 1)};" for v in stored])
            self.add("  __syncthreads();")
        self._publish()
        for value in work.reductions:
            self._reduce(value, columns)
        self._publish()
        self.each(columns, self._writes(columns, work))

    def _selected(self, block: Value) -> None:
        size, (number, start) = block.width, block.columns
        column = f"{start}" if size == 1 else f"{start} + unit"
        at = f"a.floats + ((int64_t)t * a.batch + b) * FLOATS + from"
        name = self._name(block, size)
        lines = [f"const int from = in ? move{number}[{column}] : -1;", f"{name}[e] = from < 0 ? 0.f : await({at}, dead);"]
        self.each(size, lines)

    def _reduce(self, value: Value, columns: int) -> None:
        number = self.layout.reductions.index(value)
        neutral = NEUTRAL[value.op]
        term = self.term(value.args[0], columns)
        store = f"terms[slot] = in ? {term} : {neutral};"
        self.each(columns, [f"if (slot < ROWS * B{columns}) {store}"])
        at = f"a.sums + ((int64_t)t * a.batch + base) * REDUCED * BLOCKS + {number} * BLOCKS"
        # a number a row is every block's: only the first hands it on
        combine = f"[](float x, float y) {{ return {COMBINE[value.op]}(x, y); }}"
        if columns == 1:
            self.add("  __syncthreads();", f"  if (threadIdx.x < ROWS) whole[{number} * ROWS + threadIdx.x] = terms[threadIdx.x];")
            self.add("  __syncthreads();")
        else:
            self.add(
                f"  reduce<B{columns}>({combine}, {neutral}, terms, {at}, REDUCED * BLOCKS, mine, left,",
                f"      whole + {number} * ROWS, dead);",
            )
        self.reduced.add(value)

    def _writes(self, columns: int, work: Pass) -> list[str]:
        lines = []
        alone = " && mine == 0" if columns == 1 else ""
        for target, index, start, value in work.writes:
            term = self.term(value, columns)
            if target is Target.OUTPUT:
                at = f"a.o{index} + b * a.o{index}_row + t * a.o{index}_time + {start} + unit"
                lines.append(f"if (on{alone}) store({at}, {term});")
            elif target is Target.TOTAL:
                place = _place(self.program.totals[index], start)
                lines.append(f"if (on) total{index}_{place}[e] += {term};")
        return lines

    def _advance(self) -> None:
        """Carry on to the next step."""
        ragged, back = self.options.ragged, self.program.backwards
        for size in sorted({part.value.width for part in self.layout.parts}):
            parts = [part for part in self.layout.parts if part.value.width == size]
            lines = [f"const float n{i} = {self.term(part.value, size)};" for i, part in enumerate(parts)]
            names = [_carry(part.carry, part.start) for part in parts]
            lines += [f"if (on) {name}[e] = n{i};" for i, name in enumerate(names)]
            if ragged and back:
                lines += [
                    f"if (on && anew{size}[e]) first_{name}[e] += {name}[e], {name}[e] = 0.f;" for name in names
                ]
            self.each(size, lines)

    def _finish(self) -> None:
        ragged, back = self.options.ragged, self.program.backwards
        for part in self.layout.parts:
            size, name = part.value.width, _carry(part.carry, part.start)
            whole = f"first_{name}[e] + {name}[e]" if ragged and back else f"{name}[e]"
            at = f"a.e{part.carry} + b * {self.program.carries[part.carry]} + {part.start} + unit"
            alone = " && mine == 0" if size == 1 else ""
            self.each(size, [f"if (in{alone}) store({at}, {whole});"])
        for i, group in enumerate(self.program.totals):
            start = 0
            for place, value in enumerate(group):
                at = f"a.t{i} + b * {width(group)} + {start} + unit"
                alone = " && mine == 0" if value.width == 1 else ""
                self.each(value.width, [f"if (in{alone}) *({at}) = total{i}_{place}[e];"])
                start += value.width

    def _expression(self, value: Value, columns: int) -> str:
        terms = [self.term(argument, columns) for argument in value.args]
        if value.op in LOGICAL:  # a constant argument may be a number where a truth value is needed
            terms = [f"({t} != 0.f)" if a.op is Op.SCALAR else t for a, t in zip(value.args, terms, strict=True)]
        if value.op is Op.SPREAD:
            return terms[0]
        if value.op in PREFIX:
            return f"{PREFIX[value.op]}{terms[0]}"
        if value.op in INFIX:
            return f"{terms[0]} {INFIX[value.op]} {terms[1]}"
        if value.op is Op.WHERE:
            return f"{terms[0]} ? {terms[1]} : {terms[2]}"
        return f"f_{value.op}({', '.join(terms)})"


def _carry(carry: int, start: int) -> str:
    return f"c{carry}_{start}"


def _place(group: tuple[Value, ...], start: int) -> int:
    """Return which of values side by side begins at a column."""
    at = 0
    for place, value in enumerate(group):
        if at == start:
            return place
        at += value.width
    raise AssertionError((group, start))


def _literal(number: float) -> str:
    if math.isfinite(number):
        return f"{number!r}f" if "." in repr(number) or "e" in repr(number) else f"{number!r}.0f"
    return "NAN" if math.isnan(number) else f"{'-' * (number < 0)}INFINITY"
