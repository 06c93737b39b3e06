"""A program as C++ source."""

import math
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files

from seqmodels.fusion.cpp.driver import arguments, driver
from seqmodels.fusion.cpp.tiles import filled, moves
from seqmodels.fusion.ops import CHEAP, INPUTS, LOGICAL, REDUCTIONS, TRUTHS, Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.schedule import Key, Pass, Target, Write, schedule
from seqmodels.fusion.values import Selection, Value, width

INFIX = {Op.ADD: "+", Op.SUB: "-", Op.MUL: "*", Op.DIV: "/", Op.AND: "&", Op.OR: "|", Op.XOR: "^"}
INFIX |= {Op.GT: ">", Op.GE: ">=", Op.LT: "<", Op.LE: "<=", Op.EQ: "==", Op.NE: "!="}
PREFIX = {Op.NEG: "-", Op.NOT: "~"}

CALLS = 48
"""Most elementary functions in one pass that are compiled inline; beyond, they are called: a thousand take minutes."""

NEUTRAL = {Op.SUM: "0", Op.AMAX: "-INFINITY", Op.AMIN: "INFINITY"}
WHOLE = {Op.SUM: "sum", Op.AMAX: "largest", Op.AMIN: "smallest"}
COMBINE = {Op.SUM: "{} + {}", Op.AMAX: "f_maximum({}, {})", Op.AMIN: "f_minimum({}, {})"}
"""What a reduction begins with, what makes one number of a vector's, and one vector of two."""


def source(program: Program, real: str) -> str:
    """Return the C++ of a program for ``real`` "float" or "double".

    It exports ``run(const int64_t* arguments)`` and ``scratch(batch, threads)``, the number of reals that a run needs
    besides its arguments. The arguments are the fields of ``struct Args``, all of 8 bytes, in its order.
    """
    return "\n".join(_Emitter(program).lines(real)) + "\n"


def outer_source(real: str) -> str:
    """Return the C++ of the sum over all rows that makes the gradients of weights; it exports what ``source`` does."""
    return _headers(real, "runtime.h", "outer.h")


def _headers(real: str, *names: str) -> str:
    texts = [files("seqmodels.fusion.cpp").joinpath(name).read_text(encoding="utf-8") for name in names]
    return "\n".join([f"#define SEQ_REAL {real}", *texts])


class _Emitter:
    """Writes a kernel; knows where in memory each value is."""

    def __init__(self, program: Program) -> None:
        self.program, self.schedule = program, schedule(program)
        work = self.schedule.passes.values()
        self.blocks = [block for each in work for block in each.blocks]
        moved = [b.columns.source for b in self.blocks if isinstance(program.products[b.columns.source], Selection)]
        self.selections = sorted(set(moved))
        packed = [block for block in self.blocks if block.columns.source not in self.selections]
        depths = [width(program.products[block.columns.source].operand) for block in packed]
        panels = [f"{depth} * padded({block.width})" for depth, block in zip(depths, packed, strict=True)]
        panels_at, self.definitions = _laid_out("PACKED", panels)
        self.panels = dict(zip(packed, panels_at, strict=True))  # where a block begins in the packed weights
        # one vector more than a carry needs: a slice may begin anywhere
        self.carry_at, defined = _laid_out("CARRY", [f"padded({size}) + W" for size in program.carries])
        self.definitions += defined
        buffered = self.schedule.buffered
        buffers_at, defined = _laid_out("BUFFER", [f"padded({value.width})" for value in buffered])
        self.definitions += defined
        self.buffer_at = dict(zip(buffered, buffers_at, strict=True))

    def lines(self, real: str) -> Iterable[str]:
        """Yield the parts of the source."""
        work = list(self.schedule.passes.values())
        costly = [sum(v.op not in CHEAP and v.op not in (Op.DIV, Op.SPREAD) for v in each.body) for each in work]
        if max(costly, default=0) > CALLS:
            yield "#define FUNCTION static __attribute__((noinline))"
        yield _headers(real, "runtime.h", "elementary.h")
        yield from arguments(self.program)
        yield from self.definitions
        blocks = max((len(each.blocks) for each in work), default=0)
        sums = max((len(each.reductions) for each in work), default=0)
        yield f"enum {{ BLOCKS = {blocks}, SUMS = {sums}, TILED = ROWS * UNITS * W }};"
        yield "struct Thread { i64 n; const i64* row; T *now, *next, *buffer, *sums, *tiles; const T* packed; };"
        for index in self.selections:
            selection = self.program.products[index]
            assert isinstance(selection, Selection)
            yield moves(index, selection)
        for number, (key, each) in enumerate(self.schedule.passes.items()):
            yield from _PassEmitter(self, key, each).lines(number)
        yield from driver(self.program, len(work), self.panels, self.carry_at)

    def address(self, value: Value, *, by_pointer: bool = False) -> str:
        """Return where a value of row ``r`` (batch row ``b``) begins; rows of streams ``by_pointer`` to this step's."""
        if value in self.schedule.outputs and value.op not in INPUTS:
            return _stream_address("o", *self.schedule.outputs[value], by_pointer=by_pointer)
        if value in self.buffer_at:
            return f"x.buffer + r * BUFFER + {self.buffer_at[value]}"
        index, start = value.columns
        if value.op is Op.STREAM:
            return _stream_address("s", index, start, by_pointer=by_pointer)
        if value.op is Op.CARRY:
            return f"x.now + r * CARRY + {self.carry_at[index]} + {start}"
        assert value.op is Op.VECTOR, value
        return f"a.v{index} + {start}"


def _laid_out(name: str, sizes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Lay things out one after the other: return where each begins, and the definitions of that and of the total."""
    if not sizes:
        return [], [f"static constexpr i64 {name} = 0;"]
    ends = [*(f"{name}{number}" for number in range(1, len(sizes))), name]
    begins = ["0", *ends[:-1]]
    parts = zip(begins, sizes, ends, strict=True)
    return begins, [f"static constexpr i64 {end} = {begin} + {size};" for begin, size, end in parts]


def _stream_address(kind: str, index: int, start: int, *, by_pointer: bool) -> str:
    if by_pointer:
        return f"{kind}{index}p + {start}"
    return f"a.{kind}{index} + b * a.{kind}{index}_row + t * a.{kind}{index}_time + {start}"


class _PassEmitter:
    """Writes the function of one pass."""

    def __init__(self, kernel: _Emitter, key: Key, work: Pass) -> None:
        self.kernel, self.program, self.key, self.work = kernel, kernel.program, key, work
        self.names: dict[Value, str] = {}
        self.prefetched: set[str] = set()  # addresses of streams' rows at the next step

    def lines(self, number: int) -> Iterable[str]:
        """Yield the function ``pass<number>``."""
        reductions = list(enumerate(self.work.reductions))
        yield f"static void pass{number}(const Args& a, const Thread& x, i64 t, i64 active) {{"
        for i, value in reductions:
            start = NEUTRAL[value.op]
            yield f"  for (i64 r = 0; r < active; r++) store(x.sums + (r * SUMS + {i}) * W, splat({start}));"
        yield f"  const i64 vectors = padded({self.key.width}) / W;"
        yield "  for (i64 first = 0; first < vectors; first += UNITS) {"
        yield "    const int nv = vectors - first < UNITS ? vectors - first : UNITS;"
        yield "    for (i64 r0 = 0, m; r0 < active; r0 += m) {"
        yield "      m = (active - r0 + ROWS - 1) / ROWS;"
        yield "      m = (active - r0 + m - 1) / m;"
        yield from filled(self.program.products, self.work.blocks, self.kernel.panels, self.kernel.address)
        yield from self._rows()
        yield "    }"
        yield "  }"
        for i, value in reductions:
            yield (
                f"  for (i64 r = 0; r < active; r++) x.buffer[r * BUFFER + {self.kernel.buffer_at[value]}] = "
                f"{WHOLE[value.op]}(load(x.sums + (r * SUMS + {i}) * W));"
            )
        yield "}"

    def _rows(self) -> list[str]:
        """Compute the pointwise values of a tile, vector by vector."""
        statements, size = self._statements(), self.key.width
        statements += [f"__builtin_prefetch({next_step} + j);" for next_step in sorted(self.prefetched)]
        used = set(re.findall(r"\b([so]\d+)p \+ ", " ".join(statements)))
        streams = [f"s{i}" for i in range(len(self.program.streams))]
        streams += [f"o{i}" for i in range(len(self.program.outputs))]
        return [
            "      for (i64 i = 0; i < m; i++) {",
            "        const i64 r = r0 + i, b = x.row[r];",
            "        (void)r, (void)b;",
            *(f"        auto* const {n}p = a.{n} + b * a.{n}_row + t * a.{n}_time;" for n in streams if n in used),
            "        const auto body = [&](auto part, int v) {",
            "          constexpr bool PART = decltype(part)::value;",
            "          const i64 j = (first + v) * W;",
            f"          constexpr int LANES = PART ? {size} % W : W;",
            "          (void)j, (void)LANES;",
            *(f"          {line}" for line in statements),
            "        };",
            "        struct Whole { enum { value = 0 }; };",
            "        struct Part { enum { value = 1 }; };",
            f"        const bool last = {size} % W != 0 && first + nv == vectors;",
            "        for (int v = 0; v < nv - last; v++) body(Whole{}, v);",
            "        if (last) body(Part{}, nv - 1);",
            "      }",
        ]

    def _statements(self) -> list[str]:
        lines = []
        for tile, block in enumerate(self.work.blocks):
            self.names[block] = f"p{tile}"
            lines.append(f"const vec p{tile} = load(x.tiles + {tile} * TILED + (i * UNITS + v) * W);")
        for value in self.work.body:
            expression = self._expression(value)
            name = f"u{len(self.names)}"
            kind = "mask" if value.op in TRUTHS else "vec"
            lines.append(f"const {kind} {name} = {expression};")
            self.names[value] = name
        for value in self.work.kept:
            lines.append(f"store(x.buffer + r * BUFFER + {self.kernel.buffer_at[value]} + j, {self._term(value)});")
        for i, value in enumerate(self.work.reductions):
            at = f"x.sums + (r * SUMS + {i}) * W"
            lines += [
                f"{{ vec term = {self._term(value.args[0])};",
                f"  if (PART) for (int l = LANES; l < W; l++) term[l] = {NEUTRAL[value.op]};",
                f"  store({at}, {COMBINE[value.op].format(f'load({at})', 'term')}); }}",
            ]
        return [*lines, *map(self._write, self.work.writes)]

    def _write(self, write: Write) -> str:
        target, index, start, value = write
        term = self._term(value)
        if target is Target.TOTAL:
            at = f"a.t{index} + b * {width(self.program.totals[index])} + {start} + j"
            part = f"store_part({at}, load_part({at}, LANES) + {term}, LANES)"
            return f"if (PART) {part}; else store({at}, load({at}) + {term});"
        if target is Target.CARRY:
            at = f"x.next + r * CARRY + {self.kernel.carry_at[index]} + {start} + j"
        else:
            at = f"o{index}p + {start} + j"
        return f"if (PART) store_part({at}, {term}, LANES); else store({at}, {term});"

    def _expression(self, value: Value) -> str:
        terms = [self._term(argument) for argument in value.args]
        if value.op in LOGICAL:  # a constant argument may be a number where a truth value is needed
            terms = [f"({t} != 0)" if a.op is Op.SCALAR else t for a, t in zip(value.args, terms, strict=True)]
        if value.op is Op.SPREAD:
            return terms[0]
        if value.op in PREFIX:
            return f"{PREFIX[value.op]}{terms[0]}"
        if value.op in INFIX:
            return f"{terms[0]} {INFIX[value.op]} {terms[1]}"
        return f"{'choose' if value.op is Op.WHERE else f'f_{value.op}'}({', '.join(terms)})"

    def _term(self, value: Value) -> str:
        """Return an expression for a vector of a value: a name, or a load from memory."""
        if value in self.names:
            return self.names[value]
        if value.op is Op.SCALAR:
            return f"splat((T){_literal(value.number)})"
        address = self.kernel.address(value, by_pointer=True)
        if value.width == 1 and self.key.width > 1:
            return f"splat(*({address}))"
        if value.op is Op.STREAM:  # more rows than the hardware prefetcher follows
            index, start = value.columns
            step = "-" if self.program.backwards else "+"
            self.prefetched.add(f"s{index}p {step} a.s{index}_time + {start}")
        if value.op is Op.CARRY or value.op in REDUCTIONS or value in self.kernel.buffer_at:
            return f"load({address} + j)"
        return f"(PART ? load_part({address} + j, LANES) : load({address} + j))"


def _literal(number: float) -> str:
    return repr(number) if math.isfinite(number) else "NAN" if math.isnan(number) else f"{'-' * (number < 0)}INFINITY"
