"""A program as C++ text."""

from importlib.resources import files

from seqmodels.fusion.cpp.driver import driver
from seqmodels.fusion.cpp.schedule import TRUTHS, Key, Pass, Schedule, direct, schedule
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import REDUCTIONS, Value

OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "=="}
OPERATORS |= {"ne": "!=", "and": "&", "or": "|"}


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
        self.lines = [_headers(self.real, "runtime.h")]
        self._arguments()
        self._sizes()
        for number, (key, work) in enumerate(self.plan.passes.items()):
            self._pass(number, key, work)
        self.put(*driver(self.program, len(self.plan.passes), self.blocks, self.carry_at))
        return "\n".join(self.lines) + "\n"

    def put(self, *lines: str) -> None:
        self.lines += lines

    def _arguments(self) -> None:
        program = self.program
        fields = ["i64 batch, time, threads", "const i64 *order, *lengths", "T* scratch"]
        fields += [f"const T* s{i}; i64 s{i}_row, s{i}_time" for i in range(len(program.streams))]
        fields += [f"const T* c{i}; i64 c{i}_row; T* e{i}" for i in range(len(program.carries))]
        fields += [f"const T* v{i}" for i in range(len(program.vectors))]
        fields += [f"const T* w{i}; i64 w{i}_row, w{i}_column" for i in self.weights()]
        fields += [f"T* o{i}; i64 o{i}_row, o{i}_time" for i in range(len(program.outputs))]
        fields += [f"T* t{i}" for i in range(len(program.totals))]
        self.put("struct Args {", *(f"  {line};" for line in fields), "};")

    def weights(self) -> list[int]:
        return weights_of(self.program)

    def _sizes(self) -> None:
        """Lay out the packed weights and a row's buffers."""
        total = "0"
        for work in self.plan.passes.values():
            for block in work.blocks:
                depth = self.program.products[block.data[0]].depth
                self.blocks[block] = total
                total = f"{total} + {depth} * padded({block.width})"
        self.put(f"static constexpr i64 PACKED = {total};")
        offset, self.carry_at = "0", []
        for size in self.program.carries:
            self.carry_at.append(offset)
            offset = f"{offset} + padded({size}) + W"  # a vector to spare: a cut may begin anywhere
        self.put(f"static constexpr i64 CARRY = {offset};")
        offset, self.buffer_at = "0", {}
        for value in self.plan.buffers:
            self.buffer_at[value] = offset
            offset = f"{offset} + padded({value.width})"
        self.put(f"static constexpr i64 BUFFER = {offset};")
        blocks = max((len(work.blocks) for work in self.plan.passes.values()), default=0)
        sums = max((len(work.sums) for work in self.plan.passes.values()), default=0)
        self.put(f"enum {{ BLOCKS = {blocks}, SUMS = {sums}, TILED = ROWS * UNITS * W }};")
        self.put("struct Thread { i64 n; const i64* row; T *now, *next, *buffer, *sums, *tiles; const T* packed; };")

    def _pass(self, number: int, key: Key, work: Pass) -> None:
        size = key[1]
        self.put(f"static void pass{number}(const Args& a, const Thread& x, i64 t, i64 active) {{")
        for i in range(len(work.sums)):
            start = self._neutral(work.sums[i])
            self.put(f"  for (i64 r = 0; r < active; r++) store(x.sums + (r * SUMS + {i}) * W, splat({start}));")
        self.put(
            f"  const i64 vectors = padded({size}) / W;",
            "  for (i64 first = 0; first < vectors; first += UNITS) {",
            "    const int nv = vectors - first < UNITS ? vectors - first : UNITS;",
            "    for (i64 r0 = 0, m; r0 < active; r0 += m) {",
            "      m = (active - r0 + ROWS - 1) / ROWS;",
            "      m = (active - r0 + m - 1) / m;",
        )
        for place, block in enumerate(work.blocks):
            self._product(place, block)
        self._rows(key, work)
        self.put("    }", "  }")
        for i, value in enumerate(work.sums):
            whole = "largest" if value.op == "amax" else "sum"
            self.put(
                f"  for (i64 r = 0; r < active; r++) x.buffer[r * BUFFER + {self.buffer_at[value]}] = "
                f"{whole}(load(x.sums + (r * SUMS + {i}) * W));"
            )
        self.put("}")

    def _product(self, place: int, block: Value) -> None:
        """Multiply the rows of a tile with the panel of a block."""
        product = self.program.products[block.data[0]]
        depth, start = product.depth, 0
        self.put("      {", "        const T* rows[ROWS];")
        for piece in product.operand:
            panel = f"x.packed + {self.blocks[block]} + first * {depth} * W + {start} * nv * W"
            more = "true" if start else "false"
            self.put(
                "        for (i64 i = 0; i < m; i++) {",
                "          const i64 r = r0 + i, b = x.row[r];",
                f"          rows[i] = {self.address(piece)};",
                "          (void)r, (void)b;",
                "        }",
                f"        TILE[m - 1][nv - 1](rows, {piece.width}, {panel}, x.tiles + {place} * TILED, {more});",
            )
            start += piece.width
        self.put("      }")

    def _rows(self, key: Key, work: Pass) -> None:
        """Compute the pointwise values of a tile, vector by vector."""
        size = key[1]
        self.names, self.key = {}, key
        self.near = True
        self.read = set()
        statements = self._statements(key, work)
        statements += [f"__builtin_prefetch({next_step} + j);" for next_step in sorted(self.read)]
        self.near = False
        text = " ".join(statements)
        used = [name for name in self._pointers() if f"{name}p + " in text]
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
                f"  if (PART) for (int l = LANES; l < W; l++) term[l] = {self._neutral(value)};",
            ]
            combine = f"f_maximum(load({at}), term)" if value.op == "amax" else f"load({at}) + term"
            lines.append(f"  store({at}, {combine}); }}")
        for kind, index, start, value in self.plan.writes.get(key, []):
            lines.append(self._write(kind, index, start, value))
        return lines

    def _neutral(self, value: Value) -> str:
        return "-INFINITY" if value.op == "amax" else "0"

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
            return f"splat((T){value.data[0]!r})"
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


def weights_of(program: Program) -> list[int]:
    """Return which weights a program multiplies with."""
    used = {value.data[0] for value in program.values() if value.op == "product"}
    return sorted({program.products[index].weight for index in used})
