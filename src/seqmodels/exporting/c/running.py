"""The functions of a network in C that reset a state, advance it, and run over a sequence."""

from collections.abc import Iterator, Sequence

from seqmodels.exporting.c.layers import Layers, Placed, Rows
from seqmodels.exporting.c.network import Network
from seqmodels.exporting.c.weights import Matrix


class Running:
    """Writes these functions; what memory they need is known when they are written.

    Args:
        name: what the public ones begin with.
        network: what to run.
        table: where the embedding lies, if there is one.
        placed: the function of each cell and convolution, in the order of the walk.
        int8: whether weights are bytes.

    Attributes:
        pool: floats of a state for pooling.
        rows: floats of a state for rows between layers.
        scratch: floats beside it for each step of a sequence.
    """

    def __init__(
        self, name: str, network: Network, table: Matrix | None, placed: Sequence[Placed], *, int8: bool
    ) -> None:
        self.name, self.network, self.table, self.placed = name, network, table, placed
        self.constants = "s->floats, s->bytes" if int8 else "s->floats"
        self.pool = len(network.pools) * network.node.output_size + (2 if network.score is not None else 0)
        self.rows = self.scratch = 0
        self.location = Rows("", 0)  # of a window, for the output layer; its scale follows

    def lines(self) -> Iterator[str]:
        """Yield all functions but ``init`` and ``reset``."""
        yield from self._advance()
        if self.network.pools:
            yield from self._finish()
        if self.network.streams:
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
        if network.streams:
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
        direct = not network.pools and network.head is None
        target = Rows("y", network.outputs) if direct else self._room(network.node.output_size)
        layers = Layers(iter(self.placed), self.constants, self._room, whole=False)
        yield from (f"  {line}" for line in layers.lines(network.node, source, target))
        if network.pools:
            yield f"  add_to_pool(s, {target.base});"
        elif network.head is not None:
            yield f"  output_layer({self.constants}, {target.base}, s->carry, y, s->work);"
        yield "  return 0;\n}"

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
        extra = 2 * network.normalized if network.normalization != "none" else 0
        yield f"static void finish({self.name}_state *s, float *restrict y) {{"
        row = Rows("y", 0) if network.head is None else self._room(self.pool + extra)
        self.location = row.at(self.pool)
        yield f"  float *restrict row = {row.base};" if network.head is not None else "  float *restrict row = y;"
        for number, kind in enumerate(network.pools):
            over = {"mean": " / (float)s->count", "attention": f" / s->pool[{size + 1}]"}.get(kind, "")
            place = f"[{number * size} + j]"
            yield f"  for (int j = 0; j < {size}; j++) row{place} = s->pool{place}{over};"
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
        elif network.normalization != "none":
            source = self._room_of_sequence(network.inputs)
            lines += self._normalised(source)
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

    def _normalised(self, target: Rows) -> Iterator[str]:
        """Yield the normalisation of each series of a window; its location and scale go to the output layer."""
        network, count = self.network, self.network.normalized
        yield f"  float *location = {self.location.base}, *scale = {self.location.at(count).base};"
        yield f"  for (int j = 0; j < {count}; j++) {{"
        if network.normalization == "last":
            yield f"    location[j] = x[(steps - 1) * {network.inputs} + (size_t)j];\n    scale[j] = 1.0f;"
        else:
            at = f"x[t * {network.inputs} + (size_t)j]"
            yield "    double mean = 0, squares = 0;"
            yield f"    for (size_t t = 0; t < steps; t++) mean += (double){at};"
            yield "    mean /= (double)steps;"
            yield f"    for (size_t t = 0; t < steps; t++) squares += ((double){at} - mean) * ((double){at} - mean);"
            yield "    const double deviation = sqrt(squares / (double)steps), size = fabs(mean) > 1 ? fabs(mean) : 1;"
            yield "    location[j] = (float)mean;"
            yield "    scale[j] = deviation > 1e-5 * size ? (float)deviation : 1.0f;"
        yield "  }"
        yield f"  for (size_t t = 0; t < steps; t++)\n    for (int j = 0; j < {network.inputs}; j++) {{"
        yield f"      const float v = x[t * {network.inputs} + (size_t)j];"
        yield f"      ({target.row(whole=True)})[j] = j < {count} ? (v - location[j]) / scale[j] : v;"
        yield "    }"
