"""The functions of a network in C that reset a state, advance it, and run over a sequence."""

from collections.abc import Iterator, Sequence

from seqmodels.exporting.c.forecasting import Forecasting, context, normalised, recursion
from seqmodels.exporting.c.layers import Layers, Placed, Rows
from seqmodels.exporting.c.network import Network
from seqmodels.exporting.c.segments import Memory, run_segments, sizes_of
from seqmodels.exporting.c.weights import Matrix


class Running:
    """Writes these functions; what memory they need is known when they are written.

    Args:
        name: what the public ones begin with.
        network: what to run.
        table: where the embedding lies, if there is one.
        vectors: where the features of groups lie, if there are some.
        placed: the function of each cell and convolution, in the order of the walk.
        int8: whether weights are bytes.
        asked: where the vectors of future segments lie, if there are some.

    Attributes:
        pool: floats of a state for pooling.
        rows: floats of a state for rows between layers.
        scratch: floats beside it for each step of a sequence.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        table: Matrix | None,
        vectors: Matrix | None,
        placed: Sequence[Placed],
        *,
        int8: bool,
        asked: int = 0,
    ) -> None:
        self.name, self.network, self.table, self.placed = name, network, table, placed
        self.constants = "s->floats, s->bytes" if int8 else "s->floats"
        self.pool = len(network.pools) * network.node.output_size + (2 if network.score is not None else 0)
        self.rows = self.scratch = 0
        self.location = Rows("", 0)  # of a window, for the output layer; its scale follows
        self.recursive = network.forecasting is not None and network.forecasting.recursive
        self.vectors, self.asked = vectors, asked

    def lines(self) -> Iterator[str]:
        """Yield all functions but ``init`` and ``reset``."""
        forecasting = self.network.forecasting
        segmented = forecasting is not None and forecasting.segments is not None
        if not segmented:
            yield from self._advance()
        if self.network.pools and not self.recursive and not segmented:
            yield from self._finish()
        if forecasting is not None and forecasting.beside:
            yield from context(self.name, forecasting, self.vectors)
        if forecasting is not None and segmented:
            yield from self._run_segmented(forecasting)
        elif forecasting is not None and forecasting.recursive:
            yield from self._run_recursive(forecasting)
        elif self.network.streams:
            yield from self._step()
            yield from self._run_steps()
        else:
            yield from self._run_whole()

    def _room(self, width: int) -> Rows:
        start, self.rows = self.rows, self.rows + width
        return Rows(f"s->rows + {start}", width)

    def _room_of_sequence(self, width: int) -> Rows:
        start, self.scratch = self.scratch, self.scratch + width
        return Rows(f"scratch + total * {start}", width)

    def pool_reset(self) -> Iterator[str]:
        size = self.network.node.output_size
        if self.network.pools:
            yield "s->count = 0;"
        for number, kind in enumerate(self.network.pools):
            start = "-INFINITY" if kind == "max" else "0.0f"
            yield f"for (int j = 0; j < {size}; j++) s->pool[{number * size} + j] = {start};"
        if self.network.score is not None:
            yield f"s->pool[{size}] = -INFINITY;\n  s->pool[{size + 1}] = 0.0f;"

    def _advance(self) -> Iterator[str]:
        """Yield the functions that take the features of a step into the pools, and that advance all layers."""
        network, size = self.network, self.network.node.output_size
        if network.pools:
            yield f"static void add_to_pool({self.name}_state *s, const float *restrict row) {{"
            for number, kind in enumerate(network.pools):
                place = f"s->pool[{number * size} + j]"
                if kind == "last":
                    forwards = size - network.backward_size
                    yield f"  for (int j = 0; j < {forwards}; j++) {place} = row[j];"
                    if network.backward_size:
                        yield "  if (s->count == 0)"
                        yield f"    for (int j = {forwards}; j < {size}; j++) {place} = row[j];"
                elif kind == "mean":
                    yield f"  for (int j = 0; j < {size}; j++) {place} += row[j];"
                elif kind == "attention":
                    yield from self._attend(size)
                else:
                    keep = f"row[j] > {place} || row[j] != row[j] ? row[j] : {place}"
                    yield f"  for (int j = 0; j < {size}; j++) {place} = {keep};"
            yield "  s->count++;\n}"
        if network.streams or self.recursive:
            yield from self._advance_all()

    def _attend(self, size: int) -> Iterator[str]:
        """Yield a step of a softmax over time: the largest score and the sum of the weights follow the weighted sum."""
        yield "  float score;"
        yield f"  pool_score({self.constants}, row, s->carry, &score, s->work);"
        yield f"  if (score > s->pool[{size}] || score != score) {{"
        yield f"    const float scale = f_exp(s->pool[{size}] - score);"
        yield f"    for (int j = 0; j < {size}; j++) s->pool[j] *= scale;"
        yield f"    s->pool[{size}] = score;\n    s->pool[{size + 1}] *= scale;\n  }}"
        yield f"  const float weight = f_exp(score - s->pool[{size}]);"
        yield f"  for (int j = 0; j < {size}; j++) s->pool[j] += weight * row[j];"
        yield f"  s->pool[{size + 1}] += weight;"

    def _advance_all(self) -> Iterator[str]:
        name, network = self.name, self.network
        kind = "float" if self.table is None else "int32_t"
        y = "" if network.pools else ", float *restrict y"
        yield f"static int advance({name}_state *s, const {kind} *restrict x{y}) {{"
        source = Rows("x", network.inputs)
        if self.table is not None:
            yield from self._looked_up("x[0]", row := self._room(self._embedded), "  ")
            source = row
        elif network.group:
            source = self._room(network.inputs + network.group)
            yield from (f"  {line}" for line in self._with_group("x", source.base))
        direct = not network.pools and network.head is None
        target = Rows("y", network.outputs) if direct else self._room(network.node.output_size)
        layers = Layers(iter(self.placed), self.constants, self._room, whole=False)
        yield from (f"  {line}" for line in layers.lines(network.node, source, target))
        if network.pools:
            yield f"  add_to_pool(s, {target.base});"
        elif network.head is not None:
            yield f"  output_layer({self.constants}, {target.base}, s->carry, y, s->work);"
        yield "  return 0;\n}"

    def _with_group(self, row: str, target: str) -> Iterator[str]:
        """Yield the statements that bring a row and the features of the group side by side."""
        forecasting, inputs = self.network.forecasting, self.network.inputs
        assert forecasting is not None
        start = forecasting.horizon * forecasting.known
        yield f"memcpy({target}, {row}, {inputs} * sizeof(float));"
        yield f"memcpy({target} + {inputs}, s->beside + {start}, {forecasting.group} * sizeof(float));"

    @property
    def _embedded(self) -> int:
        assert self.network.table is not None
        return self.network.table.shape[1]

    def _looked_up(self, token: str, target: Rows, indent: str, *, whole: bool = False) -> Iterator[str]:
        """Yield the statements that copy the row of a token."""
        assert self.table is not None
        assert self.network.table is not None
        size, (start, scales) = self._embedded, self.table
        yield f"{indent}if ({token} < 0 || {token} >= {len(self.network.table)}) return 1;"
        to = target.row(whole=whole)
        if scales is None:
            yield f"{indent}memcpy({to}, s->floats + {start} + (size_t){token} * {size}, {size} * sizeof(float));"
        else:
            entry = f"(float)s->bytes[{start} + (size_t){token} * {size} + (size_t)j] * s->floats[{scales} + {token}]"
            yield f"{indent}for (int j = 0; j < {size}; j++) ({to})[j] = {entry};"

    def _finish(self) -> Iterator[str]:
        """Yield the function that computes the output of a sequence from its pools."""
        network, size = self.network, self.network.node.output_size
        forecasting = network.forecasting
        known, scaling = (0, 0) if forecasting is None else (forecasting.known_at_once, forecasting.scaling)
        yield f"static void finish({self.name}_state *s, float *restrict y) {{"
        row = Rows("y", 0) if network.head is None else self._room(self.pool + known + scaling)
        self.location = row.at(self.pool + known)
        yield f"  float *restrict row = {row.base};" if network.head is not None else "  float *restrict row = y;"
        for number, kind in enumerate(network.pools):
            over = {"mean": " / (float)s->count", "attention": f" / s->pool[{size + 1}]"}.get(kind, "")
            place = f"[{number * size} + j]"
            yield f"  for (int j = 0; j < {size}; j++) row{place} = s->pool{place}{over};"
        if known:
            yield f"  memcpy(row + {self.pool}, s->beside, {known} * sizeof(float));"
        if network.head is not None:
            yield f"  output_layer({self.constants}, row, s->carry, y, s->work);"
        yield "}"

    def _step(self) -> Iterator[str]:
        name = self.name
        kind = "float" if self.table is None else "int32_t"
        yield f"int {name}_step({name}_state *s, const {kind} *x, float *y) {{"
        if self.network.pools:
            yield "  const int failed = advance(s, x);"
            yield "  if (failed == 0) finish(s, y);\n  return failed;"
        else:
            yield "  return advance(s, x, y);"
        yield "}"

    def _run_head(self) -> str:
        kind = "float" if self.table is None else "int32_t"
        return f"int {self.name}_run({self.name}_state *s, const {kind} *x, size_t steps, float *y, float *scratch) {{"

    def _run_steps(self) -> Iterator[str]:
        network = self.network
        yield self._run_head()
        yield "  (void)scratch;\n  if (steps == 0) return 2;"
        yield "  for (size_t t = 0; t < steps; t++) {"
        y = "" if network.pools else f", y + t * {network.outputs}"
        yield f"    const int failed = advance(s, x + t * {network.inputs}{y});"
        yield "    if (failed != 0) return failed;\n  }"
        if network.pools:
            yield "  finish(s, y);"
        yield "  return 0;\n}"

    def _run_whole(self) -> Iterator[str]:
        """Yield the run of a network that must see a sequence as a whole, layer after layer."""
        network = self.network
        lines = [self._run_head(), "  if (steps == 0) return 2;", f"  {self.name}_reset(s);"]
        source = Rows("x", network.inputs)
        if self.table is not None:
            source = self._room_of_sequence(self._embedded)
            lines += ["  for (size_t t = 0; t < steps; t++) {"]
            lines += [*self._looked_up("x[t]", source, "    ", whole=True), "  }"]
        elif network.forecasting is not None:
            source = self._room_of_sequence(network.inputs)
            lines += normalised(network.forecasting, network.inputs, self.location.base, source.row(whole=True))
            if network.group:
                scaled, source = source, self._room_of_sequence(network.inputs + network.group)
                side = " ".join(self._with_group(scaled.row(whole=True), source.row(whole=True)))
                lines.append(f"  for (size_t t = 0; t < steps; t++) {{ {side} }}")
        direct = not network.pools and network.head is None
        target = Rows("y", network.outputs) if direct else self._room_of_sequence(network.node.output_size)
        layers = Layers(iter(self.placed), self.constants, self._room_of_sequence, whole=True)
        lines += [f"  {line}" for line in layers.lines(network.node, source, target)]
        each = "  for (size_t t = 0; t < steps; t++)"
        if network.pools:
            lines += [f"{each} add_to_pool(s, {target.row(whole=True)});", "  finish(s, y);"]
        elif network.head is not None:
            rows = f"{target.row(whole=True)}, s->carry, y + t * {network.outputs}"
            lines.append(f"{each} output_layer({self.constants}, {rows}, s->work);")
        lines.insert(1, "  const size_t total = steps;" if self.scratch else "  (void)scratch;")
        return iter([*lines, "  return 0;\n}"])

    def _run_recursive(self, part: Forecasting) -> Iterator[str]:
        """Yield the run of a forecaster that reads its own forecasts."""
        size, inputs = self.network.node.output_size, self.network.inputs
        row = self._room(size + part.known + part.scaling).base
        own = self._room(part.params + part.series + part.known).base
        lines = [self._run_head(), "  if (steps == 0) return 2;", f"  {self.name}_reset(s);"]
        source = Rows("x", inputs)
        if part.scaling:
            source = self._room_of_sequence(inputs)
            lines += normalised(part, inputs, f"{row} + {size + part.known}", source.row(whole=True))
        lines.append(f"  for (size_t t = 0; t < steps; t++) advance(s, {source.row(whole=True)});")
        call = f"output_layer({self.constants}, {row}, s->carry, {own}, s->work);"
        lines += recursion(part, size, row, own, call)
        lines.insert(1, "  const size_t total = steps;" if self.scratch else "  (void)scratch;")
        return iter([*lines, "  return 0;\n}"])

    def _run_segmented(self, part: Forecasting) -> Iterator[str]:
        """Yield the run of a forecaster that reads and forecasts segments."""
        found, inputs = part.segments, self.network.inputs
        assert found is not None
        memory = Memory(*(self._room(size).base for size in sizes_of(part)))
        lines = [self._run_head(), f"  if (steps < {found.length}) return 2;"]
        source = Rows("x", inputs)
        if part.scaling:
            source = self._room_of_sequence(inputs)
            lines += normalised(part, inputs, memory.location, source.row(whole=True))
        lines += run_segments(part, memory, source, name=self.name, constants=self.constants, vectors=self.asked)
        lines.insert(1, "  const size_t total = steps;" if self.scratch else "  (void)scratch;")
        return iter([*lines, "  return 0;\n}"])
