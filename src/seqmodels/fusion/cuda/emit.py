"""A program as CUDA C++: one kernel that runs a whole sequence."""

from collections.abc import Container, Iterable

from seqmodels.fusion.cuda.layout import Layout, Multiplied, Options
from seqmodels.fusion.cuda.prelude import NAME, text_of
from seqmodels.fusion.cuda.step import StepWriter
from seqmodels.fusion.cuda.terms import Terms, carry_name
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Selection, Value, width


class Source:
    """The text of a kernel after the prelude, and what a launch must know.

    Attributes:
        text: CUDA C++; it defines the kernel ``NAME``, whose argument is a ``struct Args`` of words of 8 bytes.
        shared_bytes: shared memory of a block.
        weights: the numbers of the weights that it takes, in order.
        words: how many fields ``Args`` has.
    """

    def __init__(self, program: Program, options: Options) -> None:
        self.layout = Layout(program, options)
        terms = Terms(self.layout)
        self.weights = sorted({each.product.weight for each in self.layout.products})
        fields = _fields(program, self.weights, self.layout.aliases)
        self.words = sum(field.count(",") + field.count(";") + 1 for field in fields)
        self.shared_bytes = 4 * self.layout.shared_floats(len(terms.singles))
        self.text = "\n".join([*_constants(self.layout, terms, fields), *_kernel(self.layout, terms)]) + "\n"


def _fields(program: Program, weights: Iterable[int], aliases: Container[int]) -> list[str]:
    """Return the fields of ``struct Args``, each of 8 bytes, in the order in which a launch gives them."""
    fields = ["int64_t time, batch, groups", "const int64_t* lengths", "const uint8_t* resets"]
    fields += ["int64_t resets_row, resets_time", "void* status"]
    fields += ["T* operands; int64_t operands_row, operands_time", "float *floats, *sums"]
    fields += [f"const T* s{i}; int64_t s{i}_row, s{i}_time" for i in range(len(program.streams))]
    restart = "T*" if program.backwards else "const T*"  # backwards, what is handed over at resets is summed there
    for i in range(len(program.carries)):
        fields.append(f"const T* c{i}; int64_t c{i}_row; {restart} r{i}; int64_t r{i}_row; T* e{i}")
    fields += [f"const T* v{i}" for i in range(len(program.vectors))]
    fields += [f"const T* w{i}; int64_t w{i}_row, w{i}_column" for i in weights]
    fields += [f"T* o{i}; int64_t o{i}_row, o{i}_time" for i in range(len(program.outputs)) if i not in aliases]
    return fields + [f"float* t{i}" for i in range(len(program.totals))]


def _constants(layout: Layout, terms: Terms, fields: Iterable[str]) -> Iterable[str]:
    o = layout.options
    yield f"constexpr int WK = {o.depth_warps}, WN = {o.column_warps}, MT = {o.row_tiles}, KEEP = {o.kept};"
    yield f"constexpr int PARTS = {o.parts}, BLOCKS = {o.blocks};"
    yield text_of("kernel.cuh")
    yield from ["struct Args {", *(f"  {field};" for field in fields), "};"]
    for size in terms.widths:
        b = layout.columns(size)
        yield f"constexpr int B{size} = {b}, E{size} = (ROWS * {b} + THREADS - 1) / THREADS;"
    for number in layout.selections:
        selection = layout.program.products[number]
        assert isinstance(selection, Selection)
        places = [layout.floats[piece] + column for piece in selection.operand for column in range(piece.width)]
        moves = ", ".join(str(places[column] if column >= 0 else -1) for column in selection.columns)
        yield f"TABLE int move{number}[] = {{{moves}}};"
    for each in layout.products:
        sizes = each.chunks, sum(map(layout.tiles, each.gates)), layout.wide(each)
        yield f"typedef Product<{', '.join(map(str, sizes))}> Product{each.number};"


def _kernel(layout: Layout, terms: Terms) -> Iterable[str]:
    program, step = layout.program, StepWriter(layout, terms)
    sums_size, shared = layout.sums_size, "2 * HALF"
    yield f"KERNEL({NAME}) {{"
    yield f"  constexpr int HALF = {sums_size};"
    yield f"  constexpr int FLOATS = {layout.float_width}, REDUCED = {len(layout.reductions)};"
    yield "  SHARED_MEMORY(shared);"
    yield "  const int mine = blockIdx.x % BLOCKS, teams = gridDim.x < 2 * BLOCKS ? 1 : gridDim.x / BLOCKS;"
    yield "  bool dead = false;"
    yield "  int turn = 0;"
    for each in layout.products:
        yield f"  uint4* far{each.number} = (uint4*)(shared + {shared});"
        shared += f" + {4 * layout.far(each)}"
    yield f"  float *terms = shared + {shared}, *whole = terms + {layout.terms}, *single = whole + REDUCED * ROWS;"
    yield "  (void)terms, (void)whole, (void)single, (void)turn, (void)HALF, (void)FLOATS;"
    for each in layout.products:
        yield from _filled(layout, each)
    yield from _vectors(terms)
    yield "  for (int group = blockIdx.x / BLOCKS; group < (int)a.groups; group += teams) {"
    yield from _begin(layout, terms, step)
    yield from ["  if (end > 0) {", *step.begin(first_step(program)), "  }"]
    yield "  for (int step = 0; step < end; step++) {"
    yield f"  const int t = {'end - 1 - step' if program.backwards else 'step'};"
    yield from step.lines()
    yield "  }"
    yield from _finish(layout, terms)
    yield from ["  }", "  if (dead) report(a.status);", "}"]


def _filled(layout: Layout, each: Multiplied) -> list[str]:
    """Load the columns of a weight that this block multiplies with."""
    weight, start, lines = f"a.w{each.product.weight}", 0, []
    for gate in each.gates:
        count = layout.columns(gate.width)
        column = f"n - {start}" if gate.width == 1 else f"mine * {count} + n - {start}"
        mine = f"n >= {start} && n < {start + count} && {column} < {gate.width}"
        lines.append(f"if ({mine}) column = {gate.columns.start} + {column};")
        start += 8 * layout.tiles(gate)
    begin = depth = 0
    for piece in each.product.operand:
        lines.append(f"if (k >= {begin} && k < {begin + piece.width}) row = {depth} + k - {begin};")
        begin, depth = begin + layout.padded(piece), depth + piece.width
    row, column = ("column", "row") if each.product.transposed else ("row", "column")
    return [
        f"  Product{each.number} product{each.number};",
        f"  product{each.number}.fill(far{each.number}, [&](int n, int chunk, int k) -> uint32_t {{",
        "    int column = -1, row = -1;",
        "    k += chunk * CHUNK;",
        *(f"    {line}" for line in lines),
        "    if (column < 0 || row < 0) return 0;",
        f"    return bits({weight} + {row} * {weight}_row + {column} * {weight}_column);",
        "  });",
    ]


def _vectors(terms: Terms) -> Iterable[str]:
    for (value, columns), name in terms.vectors.items():
        source, start = value.columns
        column = f"{start}" if value.width == 1 else f"{start} + unit"
        unit = "0" if columns == 1 else f"mine * B{columns} + slot % B{columns}"
        yield f"  float {name}[E{columns}];"
        yield f"  UNROLL for (int e = 0; e < E{columns}; e++) {{"
        yield f"    const int slot = threadIdx.x + e * THREADS, unit = {unit};"
        yield f"    {name}[e] = unit < {columns} ? load(a.v{source} + {column}) : 0.f;"
        yield "    (void)slot;"
        yield "  }"


def _begin(layout: Layout, terms: Terms, step: StepWriter) -> Iterable[str]:
    """Load the carries of a group of rows, and the streams of its first step."""
    program, ragged = layout.program, layout.options.ragged
    yield "  const int64_t base = (int64_t)group * ROWS;"
    yield "  const int left = a.batch - base < ROWS ? (int)(a.batch - base) : ROWS, t = 0;"
    yield "  int end = (int)a.time;"
    yield "  (void)t;"
    if ragged:
        yield "  if (a.lengths) {"
        yield "    int64_t most = 0;"
        yield "    for (int r = 0; r < left; r++) most = most > a.lengths[base + r] ? most : a.lengths[base + r];"
        yield "    end = most < end ? (int)most : end;"
        yield "  }"
        for size in terms.widths:
            yield f"  int length{size}[E{size}];"
            yield f"  UNROLL for (int e = 0; e < E{size}; e++) {{"
            yield f"    const int r = (threadIdx.x + e * THREADS) / B{size};"
            yield f"    length{size}[e] = r < left ? (a.lengths ? (int)a.lengths[base + r] : end) : 0;"
            yield "  }"
        for size in step.carried_widths():
            yield f"  bool reset{size}[E{size}], next_reset{size}[E{size}];"
            yield f"  UNROLL for (int e = 0; e < E{size}; e++) next_reset{size}[e] = false;"
    for part in layout.parts:
        size, name = part.value.width, carry_name(part.carry, part.start)
        handed = f", first_{name}[E{size}]" if ragged and program.backwards else ""
        yield f"  float {name}[E{size}]{handed};"
        at = f"a.c{part.carry} + b * a.c{part.carry}_row + {part.start} + unit"
        lines = [f"{name}[e] = in ? load({at}) : 0.f;", *([f"first_{name}[e] = 0.f;"] if handed else [])]
        yield from terms.loop(size, lines)
    for i, group in enumerate(program.totals):
        for start, value in _placed(group):
            yield f"  float total{i}_{start}[E{value.width}];"
            yield f"  UNROLL for (int e = 0; e < E{value.width}; e++) total{i}_{start}[e] = 0.f;"
    for (_, columns), name in terms.streams.items():
        yield f"  float {name}[E{columns}];"
        yield f"  T next_{name}[E{columns}];"
        yield f"  UNROLL for (int e = 0; e < E{columns}; e++) next_{name}[e] = T{{}};"
    for (_, columns), name in terms.gathered.items():
        yield f"  float {name}[E{columns}];"
    yield from ["  if (end > 0) {", *step.fetch(first_step(program)), "  }"]


def first_step(program: Program) -> str:
    return "end - 1" if program.backwards else "0"


def _finish(layout: Layout, terms: Terms) -> Iterable[str]:
    """Store the carries and totals of a group of rows; a number a row is stored by one block."""
    program = layout.program
    for part in layout.parts:
        size, name = part.value.width, carry_name(part.carry, part.start)
        at = f"a.e{part.carry} + b * {program.carries[part.carry]} + {part.start} + unit"
        alone = " && mine == 0" if size == 1 else ""
        yield from terms.loop(size, [f"if (in{alone}) store({at}, {name}[e]);"])
        if layout.options.ragged and program.backwards:
            at = f"a.r{part.carry} + b * a.r{part.carry}_row + {part.start} + unit"
            yield from terms.loop(size, [f"if (in{alone} && a.resets) store({at}, first_{name}[e]);"])
    for i, group in enumerate(program.totals):
        for start, value in _placed(group):
            at = f"a.t{i} + b * {width(group)} + {start} + unit"
            alone = " && mine == 0" if value.width == 1 else ""
            yield from terms.loop(value.width, [f"if (in{alone}) *({at}) = total{i}_{start}[e];"])


def _placed(group: Iterable[Value]) -> Iterable[tuple[int, Value]]:
    """Yield values side by side with their first columns."""
    start = 0
    for value in group:
        yield start, value
        start += value.width
