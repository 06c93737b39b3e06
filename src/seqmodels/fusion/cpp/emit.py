"""A program as C++ text."""

import math
import re
from collections.abc import Sequence
from importlib.resources import files

from seqmodels.fusion.cpp.driver import arguments, driver
from seqmodels.fusion.cpp.schedule import Key, Pass, Schedule, direct, schedule
from seqmodels.fusion.cpp.tiles import filled, moves
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import CHEAP, LOGICAL, REDUCTIONS, TRUTHS, Value

OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "=="}
OPERATORS |= {"ne": "!=", "and": "&", "or": "|", "xor": "^"}

CALLS = 48
"""Elementary functions in one pass from which on they are called: compiled in place, a thousand take minutes."""

NEUTRAL = {"sum": "0", "amax": "-INFINITY", "amin": "INFINITY"}
WHOLE = {"sum": "sum", "amax": "largest", "amin": "smallest"}
COMBINE = {"sum": "{} + {}", "amax": "f_maximum({}, {})", "amin": "f_minimum({}, {})"}
"""What a reduction begins with, what makes one number of a vector's, and one vector of two."""


def source(program: Program, real: str) -> str:
    """Return the C++ of a program for ``real`` "float" or "double".

    It exports ``run(const int64_t* arguments)`` and ``scratch(batch, threads)``, the number of reals that a run needs
    besides its arguments. The arguments are the fields of ``struct Args``, all of 8 bytes, in its order.
    """
    return _Emitter(program, real).text()


def outer_source(real: str) -> str:
    """Return the C++ of the sum over all rows that makes the gradients of weights; it exports what ``source`` does."""
    return _headers(real, "runtime.h", "outer.h")


def _headers(real: str, *names: str) -> str:
    texts = [files("seqmodels.fusion.cpp").joinpath(name).read_text(encoding="utf-8") for name in names]
    return "\n".join([f"#define SEQ_REAL {real}", *texts])


class _Emitter:
    def __init__(self, program: Program, real: str) -> None:
        self.program, self.real = program, real
        self.plan: Schedule = schedule(program)
        self.lines: list[str] = []
        self.blocks: dict[Value, str] = {}  # panels: the first number of a block in the packed weights
        self.names: dict[Value, str] = {}
        self.near = False
        self.read: set[str] = set()  # streams' addresses at the step after this one

    def text(self) -> str:
        dear = [sum(v.op not in (*CHEAP, "div", "spread") for v in work.body) for work in self.plan.passes.values()]
        lines = ["#define FUNCTION static __attribute__((noinline))"] if max(dear, default=0) > CALLS else []
        self.lines = [*lines, _headers(self.real, "runtime.h", "elementary.h"), *arguments(self.program)]
        self._sizes()
        for number, (key, work) in enumerate(self.plan.passes.items()):
            self._pass(number, key, work)
        self.put(*driver(self.program, len(self.plan.passes), self.blocks, self.carry_at))
        return "\n".join(self.lines) + "\n"

    def put(self, *lines: str) -> None:
        self.lines += lines

    def _sizes(self) -> None:
        """Lay out the packed weights and a row's buffers."""
        made = [block for work in self.plan.passes.values() for block in work.blocks]
        packed = [block for block in made if not self.program.products[block.data[0]].select]
        depths = [self.program.products[block.data[0]].depth for block in packed]
        panels = [f"{depth} * padded({block.width})" for depth, block in zip(depths, packed, strict=True)]
        self.blocks = dict(zip(packed, self._laid_out("PACKED", panels), strict=True))
        # a vector to spare: a cut may begin anywhere
        self.carry_at = self._laid_out("CARRY", [f"padded({size}) + W" for size in self.program.carries])
        kept = self._laid_out("BUFFER", [f"padded({value.width})" for value in self.plan.buffers])
        self.buffer_at = dict(zip(self.plan.buffers, kept, strict=True))
        blocks = max((len(work.blocks) for work in self.plan.passes.values()), default=0)
        sums = max((len(work.sums) for work in self.plan.passes.values()), default=0)
        self.put(f"enum {{ BLOCKS = {blocks}, SUMS = {sums}, TILED = ROWS * UNITS * W }};")
        self.put("struct Thread { i64 n; const i64* row; T *now, *next, *buffer, *sums, *tiles; const T* packed; };")
        for index in sorted({block.data[0] for block in made} - {block.data[0] for block in packed}):
            self.put(moves(index, self.program.products[index]))

    def _laid_out(self, name: str, sizes: Sequence[str]) -> list[str]:
        """Lay things out one after the other: define constants for where each begins, and for the size of all."""
        ends = [f"{name}{number}" for number in range(1, len(sizes))] + [name] * bool(sizes)
        begins = ["0", *ends][: len(sizes)]
        for begin, size, end in zip(begins, sizes, ends, strict=True):
            self.put(f"static constexpr i64 {end} = {begin} + {size};")
        if not sizes:
            self.put(f"static constexpr i64 {name} = 0;")
        return begins

    def _pass(self, number: int, key: Key, work: Pass) -> None:
        size = key[1]
        self.put(f"static void pass{number}(const Args& a, const Thread& x, i64 t, i64 active) {{")
        for i in range(len(work.sums)):
            start = NEUTRAL[work.sums[i].op]
            self.put(f"  for (i64 r = 0; r < active; r++) store(x.sums + (r * SUMS + {i}) * W, splat({start}));")
        self.put(
            f"  const i64 vectors = padded({size}) / W;",
            "  for (i64 first = 0; first < vectors; first += UNITS) {",
            "    const int nv = vectors - first < UNITS ? vectors - first : UNITS;",
            "    for (i64 r0 = 0, m; r0 < active; r0 += m) {",
            "      m = (active - r0 + ROWS - 1) / ROWS;",
            "      m = (active - r0 + m - 1) / m;",
        )
        self.put(*filled(self.program.products, work.blocks, self.blocks, self.address))
        self._rows(key, work)
        self.put("    }", "  }")
        for i, value in enumerate(work.sums):
            self.put(
                f"  for (i64 r = 0; r < active; r++) x.buffer[r * BUFFER + {self.buffer_at[value]}] = "
                f"{WHOLE[value.op]}(load(x.sums + (r * SUMS + {i}) * W));"
            )
        self.put("}")

    def _rows(self, key: Key, work: Pass) -> None:
        """Compute the pointwise values of a tile, vector by vector."""
        size = key[1]
        self.names, self.key = {}, key
        self.near = True
        self.read = set()
        statements = self._statements(key, work)
        statements += [f"__builtin_prefetch({next_step} + j);" for next_step in sorted(self.read)]
        self.near = False
        found = set(re.findall(r"\b([so]\d+)p \+ ", " ".join(statements)))
        used = [name for name in self._pointers() if name in found]
        self.put(
            "      for (i64 i = 0; i < m; i++) {",
            "        const i64 r = r0 + i, b = x.row[r];",
            "        (void)r, (void)b;",
            *(f"        auto* const {n}p = a.{n} + b * a.{n}_row + t * a.{n}_time;" for n in used),
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
        )

    def _pointers(self) -> list[str]:
        return [
            f"{kind}{i}"
            for kind, n in (("s", self.program.streams), ("o", self.program.outputs))
            for i in range(len(n))
        ]

    def _statements(self, key: Key, work: Pass) -> list[str]:
        lines = []
        for place, block in enumerate(work.blocks):
            self.names[block] = f"p{place}"
            lines.append(f"const vec p{place} = load(x.tiles + {place} * TILED + (i * UNITS + v) * W);")
        for value in work.body:
            expression = self._expression(value)
            name = f"u{len(self.names)}"
            kind = "mask" if value.op in TRUTHS else "vec"
            lines.append(f"const {kind} {name} = {expression};")
            self.names[value] = name
        for value in work.kept:
            lines.append(f"store(x.buffer + r * BUFFER + {self.buffer_at[value]} + j, {self.term(value)});")
        for i, value in enumerate(work.sums):
            term = self.term(value.args[0])
            at = f"x.sums + (r * SUMS + {i}) * W"
            lines += [
                f"{{ vec term = {term};",
                f"  if (PART) for (int l = LANES; l < W; l++) term[l] = {NEUTRAL[value.op]};",
            ]
            lines.append(f"  store({at}, {COMBINE[value.op].format(f'load({at})', 'term')}); }}")
        for kind, index, start, value in self.plan.writes.get(key, []):
            lines.append(self._write(kind, index, start, value))
        return lines

    def _write(self, kind: str, index: int, start: int, value: Value) -> str:
        term = self.term(value)
        if kind == "total":
            at = f"a.t{index} + b * {sum(v.width for v in self.program.totals[index])} + {start} + j"
            part = f"store_part({at}, load_part({at}, LANES) + {term}, LANES)"
            return f"if (PART) {part}; else store({at}, load({at}) + {term});"
        if kind == "carry":
            at = f"x.next + r * CARRY + {self.carry_at[index]} + {start} + j"
        else:
            at = f"o{index}p + {start} + j"
        return f"if (PART) store_part({at}, {term}, LANES); else store({at}, {term});"

    def _expression(self, value: Value) -> str:
        terms = [self.term(argument) for argument in value.args]
        if value.op in LOGICAL:  # numbers that nothing is computed from stand for truth values too
            terms = [f"({t} != 0)" if a.op == "scalar" else t for a, t in zip(value.args, terms, strict=True)]
        if value.op == "spread":
            return terms[0]
        if value.op == "neg":
            return f"-{terms[0]}"
        if value.op == "not":
            return f"~{terms[0]}"
        if value.op == "where":
            return f"choose({', '.join(terms)})"
        if value.op in OPERATORS:
            return f"{terms[0]} {OPERATORS[value.op]} {terms[1]}"
        return f"f_{value.op}({', '.join(terms)})"

    def term(self, value: Value) -> str:
        """Return an expression for a vector of a value: a name, or a load from where it lies."""
        if value in self.names:
            return self.names[value]
        if value.op == "scalar":
            return f"splat((T){_literal(value.data[0])})"
        if value.width == 1 and self.key[1] > 1:
            return f"splat(*({self.address(value)}))"
        at = f"{self.address(value)} + j"
        if value.op == "stream":  # more rows than the processor watches: it is told what the next step will read
            step = "-" if self.program.backwards else "+"
            self.read.add(f"s{value.data[0]}p {step} a.s{value.data[0]}_time + {value.data[1]}")
        if value.op == "carry" or value.op in REDUCTIONS or value in self.buffer_at:
            return f"load({at})"
        return f"(PART ? load_part({at}, LANES) : load({at}))"

    def address(self, value: Value) -> str:
        """Return where a value of row ``r`` (batch row ``b``) begins."""
        if value in self.plan.outputs and not direct(value):
            index, start = self.plan.outputs[value]
            return self._place("o", index, start)
        if value in self.buffer_at:
            return f"x.buffer + r * BUFFER + {self.buffer_at[value]}"
        index, start = value.data
        if value.op == "stream":
            return self._place("s", index, start)
        if value.op == "carry":
            return f"x.now + r * CARRY + {self.carry_at[index]} + {start}"
        assert value.op == "vector", value
        return f"a.v{index} + {start}"

    def _place(self, kind: str, index: int, start: int) -> str:
        """Return the address of a stream's row: by its pointer where the rows' loop has one."""
        if self.near:
            return f"{kind}{index}p + {start}"
        return f"a.{kind}{index} + b * a.{kind}{index}_row + t * a.{kind}{index}_time + {start}"


def _literal(number: float) -> str:
    return repr(number) if math.isfinite(number) else "NAN" if math.isnan(number) else f"{'-' * (number < 0)}INFINITY"
