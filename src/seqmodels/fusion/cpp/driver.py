"""The part of a kernel around its passes: arguments, time, rows, threads, carries."""

from collections.abc import Sequence

from seqmodels.fusion.ops import Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Product, Value


def arguments(program: Program) -> list[str]:
    """Return the definition of ``struct Args``."""
    fields = [
        "i64 batch, time, threads",
        "const i64 *order, *lengths",
        "const bool* resets; i64 resets_row, resets_time",
        "T* scratch",
    ]
    fields += [f"const T* s{i}; i64 s{i}_row, s{i}_time" for i in range(len(program.streams))]
    restart = "T*" if program.backwards else "const T*"  # backwards, what is handed over at resets is added up there
    for i in range(len(program.carries)):
        fields.append(f"const T* c{i}; i64 c{i}_row; {restart} r{i}; i64 r{i}_row; T* e{i}")
    fields += [f"const T* v{i}" for i in range(len(program.vectors))]
    fields += [f"const T* w{i}; i64 w{i}_row, w{i}_column" for i in weights_of(program)]
    fields += [f"T* o{i}; i64 o{i}_row, o{i}_time" for i in range(len(program.outputs))]
    fields += [f"T* t{i}" for i in range(len(program.totals))]
    return ["struct Args {", *(f"  {line};" for line in fields), "};"]


def weights_of(program: Program) -> list[int]:
    """Return which weights a program multiplies with."""
    used = {value.columns.source for value in program.values() if value.op is Op.PRODUCT}
    products = [program.products[index] for index in used]
    return sorted({product.weight for product in products if isinstance(product, Product)})


def driver(program: Program, num_passes: int, panels: dict[Value, str], carry_at: Sequence[str]) -> list[str]:
    """Return the loop over time, the division of rows among threads, and the functions that the library exports."""
    return [
        *_time_loop(program, num_passes, carry_at),
        "static constexpr i64 PER_ROW = 2 * CARRY + BUFFER + SUMS * W, PER_THREAD = BLOCKS * TILED + 2 * W;",
        'extern "C" i64 scratch(i64 batch, i64 threads) {',
        "  return PACKED + batch * PER_ROW + threads * PER_THREAD + W;",
        "}",
        'extern "C" void run(const i64* arguments) {',
        "  const Args& a = *(const Args*)arguments;",
        "  T* packed = a.scratch;",
        *(_packing(program, block, at) for block, at in panels.items()),
        "  const auto share = [&](i64 k) {",
        "    const i64 each = a.batch / a.threads, more = a.batch % a.threads;",
        "    const i64 begin = k * each + (k < more ? k : more), n = each + (k < more);",
        "    T* mine = packed + PACKED + begin * PER_ROW + k * PER_THREAD;",
        "    T* buffer = mine + 2 * n * CARRY;",
        "    Thread x = {n, a.order + begin, mine, mine + n * CARRY, buffer, nullptr, nullptr, packed};",
        "    x.sums = x.buffer + n * BUFFER;",
        "    x.tiles = x.sums + n * SUMS * W;",
        "    work(a, x);",
        "  };",
        "#if defined(_OPENMP)",
        "  if (a.threads > 1) {",
        "#pragma omp parallel num_threads(a.threads)",
        "    for (i64 k = omp_get_thread_num(); k < a.threads; k += omp_get_num_threads()) share(k);",
        "    return;",
        "  }",
        "#endif",
        "  for (i64 k = 0; k < a.threads; k++) share(k);",
        "}",
    ]


def _time_loop(program: Program, num_passes: int, carry_at: Sequence[str]) -> list[str]:
    """Return the function that runs a thread's rows through time."""
    back = program.backwards
    begins = "a.lengths ? t == a.lengths[x.row[r]] - 1 : step == 0" if back else "step == 0"
    ends = "t == 0" if back else "a.lengths ? t == a.lengths[x.row[r]] - 1 : step == a.time - 1"
    reset = "a.resets[x.row[r] * a.resets_row + t * a.resets_time]"
    given, restart = ([f"a.{c}{i} + x.row[r] * a.{c}{i}_row" for i in range(len(carry_at))] for c in "cr")
    final = [f"a.e{i} + x.row[r] * {size}" for i, size in enumerate(program.carries)]
    now, after = ([f"x.{name} + r * CARRY + {at}" for at in carry_at] for name in ("now", "next"))

    def each(function: str, targets: Sequence[str], sources: Sequence[str]) -> str:
        triples = zip(targets, sources, program.carries, strict=True)
        return " ".join(f"{function}({to}, {source}, {size});" for to, source, size in triples)

    start, end, rows = each("copy", now, given), each("copy", final, after), "for (i64 r = 0; r < active; r++)"
    before, behind = [f"{rows} if ({begins}) {{ {start} }}"], [f"{rows} if ({ends}) {{ {end} }}"]
    if back:
        behind.insert(0, f"if (a.resets) {rows} if ({reset}) {{ {each('hand_over', restart, after)} }}")
    else:
        before.append(f"if (a.resets) {rows} if ({reset}) {{ {each('copy', now, restart)} }}")
    return [
        "static void work(const Args& a, Thread x) {",
        "  Flush flush;",
        "  if (a.lengths)",
        "    for (i64 r = 0; r < x.n; r++)",
        f"      if (a.lengths[x.row[r]] == 0) {{ {each('copy', final, given)} }}",
        "  for (i64 step = 0; step < a.time; step++) {",
        f"    const i64 t = {'a.time - 1 - step' if back else 'step'};",
        "    i64 active = x.n;  // rows are sorted by length, longest first",
        "    if (a.lengths) while (active > 0 && a.lengths[x.row[active - 1]] <= t) active--;",
        *(f"    {line}" for line in before),
        *(f"    pass{i}(a, x, t, active);" for i in range(num_passes)),
        *(f"    {line}" for line in behind),
        "    T* swap = x.now; x.now = x.next; x.next = swap;",
        "  }",
        "}",
    ]


def _packing(program: Program, block: Value, at: str) -> str:
    """Return the statement that packs a block of a weight's columns."""
    product = program.products[block.columns.source]
    assert isinstance(product, Product)
    w, depth = product.weight, product.depth
    row, column = (f"a.w{w}_column", f"a.w{w}_row") if product.transposed else (f"a.w{w}_row", f"a.w{w}_column")
    return f"  pack(packed + {at}, a.w{w}, {row}, {column}, {depth}, {block.columns.start}, {block.width});"
