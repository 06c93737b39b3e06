"""A network as one C99 file and a header."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from seqmodels.exporting.c.functions import needed
from seqmodels.exporting.c.header import Sizes, header
from seqmodels.exporting.c.layers import Placed
from seqmodels.exporting.c.network import Network
from seqmodels.exporting.c.nodes import Attending, Convolved, Leaf, walk
from seqmodels.exporting.c.running import Running
from seqmodels.exporting.c.sequences import ATTEND, convolution, viterbi
from seqmodels.exporting.c.step import Written, text, written
from seqmodels.exporting.c.weights import DType, Weights, product_function

Where = Literal["inside", "bin"]
MAGIC = 0x31434D53  # "SMC1" in memory, little-endian


@dataclass(frozen=True)
class Shape:
    """What a model reads and writes.

    Attributes:
        tokens: how many there are; None where a step is numbers.
        inputs: numbers of a step.
        outputs: of a step or of a sequence.
        every: whether each step has outputs.
        shortens: of how many steps there is one that has.
        streams: whether there is a function for a single step.
        tags: whether there is one that chooses a tag at each step.
        context: numbers known of the future, static features, and groups, of a function that sets them.
        shortest: steps that a sequence must have.
    """

    tokens: int | None
    inputs: int
    outputs: int
    every: bool
    shortens: int
    streams: bool
    tags: bool
    context: tuple[int, int, int] | None
    shortest: int = 1

    def rows(self, steps: int) -> int:
        """Return the number of outputs of a sequence."""
        return -(-max(1, steps) // self.shortens) if self.every else 1


@dataclass(frozen=True)
class Source:
    """The files of an export, and what its steps cost.

    Attributes:
        code, header: the two texts.
        shape: what it reads and writes.
        weights: the content of the ``.bin``; None where the weights lie in the C file.
        weight_bytes: of all numbers.
        state_bytes: of the struct that the caller allocates, about: pointers differ between processors.
        scratch: floats for each step of a sequence that a run needs beside it.
        multiplications, pointwise: multiply-adds and other operations of a step of the input, with the output layer.
        pairwise: multiply-adds of self-attention for each pair of steps.
    """

    code: str
    header: str
    shape: Shape
    weights: bytes | None
    weight_bytes: int
    state_bytes: int
    scratch: int
    multiplications: int
    pointwise: int
    pairwise: int


def source(name: str, network: Network, *, weights: Where, dtype: DType, about: str) -> Source:
    """Return a network as C.

    Args:
        name: what functions and types begin with, a C identifier.
        network: what to write.
        weights: ``inside`` the C file, or in a ``.bin`` beside it.
        dtype: of matrices.
        about: a line that says what the model is.
    """
    return _Source(name, network, weights, dtype, about).source()


class _Source:
    def __init__(self, name: str, network: Network, where: Where, dtype: DType, about: str) -> None:
        self.name, self.network, self.where, self.about = name, network, where, about
        self.numbers = Weights(dtype)
        table = None if network.table is None else self.numbers.table(network.table)
        groups = None if network.forecasting is None else network.forecasting.vectors
        vectors = None if groups is None else self.numbers.table(groups)
        self.steps: list[Written] = []
        self.multiplications = self.pointwise = 0.0
        initial, placed = [torch.zeros(0)], list[Placed]()
        segments = None if network.forecasting is None else network.forecasting.segments
        rate: float = 1  # steps of the input for each of a layer
        if segments is not None and network.forecasting is not None:  # the cell reads each series for itself
            rate = segments.length / network.forecasting.series
        for node in walk(network.node):
            name_ = f"layer{len(placed)}"
            if isinstance(node, Leaf):
                self._add(written(name_, node.traced, self.numbers), rate)
                placed.append(Placed(name_, sum(map(len, initial))))
                initial.append(node.traced.initial)
            elif isinstance(node, Convolved):
                self._add(convolution(name_, node, self.numbers), rate * node.stride)
                placed.append(Placed(name_))
                rate *= node.stride * node.pool
        parts = [("pool_score", network.score), ("output_layer", network.head)]
        parts += [] if segments is None else [("read_segment", segments.read), ("ask_segment", segments.asked)]
        for name_, part in parts:
            if part is not None:
                self._add(written(name_, part, self.numbers), rate)
        self.search = None if network.crf is None else viterbi(name, network.crf, self.numbers)
        self.carry = sum(map(len, initial))
        self.initial = self.numbers.floats(torch.cat(initial))
        asked = 0 if segments is None else self.numbers.floats(segments.vectors.flatten())
        self.running = Running(name, network, table, vectors, placed, int8=dtype == "int8", asked=asked)

    def _add(self, part: Written, rate: float) -> None:
        """Add a function that is called once for each ``rate`` steps of the input."""
        self.steps.append(part)
        self.multiplications += part.multiplications / rate
        self.pointwise += part.pointwise / rate

    def source(self) -> Source:
        running, steps, int8 = self.running, self.steps, self.numbers.dtype == "int8"
        body = list(running.lines())
        work = max(step.work for step in [*steps, *([self.search] if self.search else [])])
        part = self.network.forecasting
        sizes = Sizes(self.carry, running.pool, running.rows, work, running.scratch, 0 if part is None else part.beside)
        inside = self.where == "inside"
        top = header(self.name, self.network, sizes, about=self.about, inside=inside, int8=int8)
        floats, small = self.numbers.arrays()
        attending = [node for node in walk(self.network.node) if isinstance(node, Attending)]
        functions = {name for step in steps for name in step.functions}
        functions |= {"f_exp"} if attending or self.network.score is not None else set()
        code = [
            f"/* {self.about} */",
            *("#include <math.h>", "#include <string.h>", "", f'#include "{self.name}.h"', ""),
            *(self._arrays(floats, small) if inside else ()),
            *needed(functions),
            *(
                product_function(wide=wide, int8=int8)
                for wide in sorted({wide for step in steps for wide in step.products})
            ),
            *(step.text for step in steps),
            *((ATTEND,) if attending else ()),
            *self._init(floats, small),
            *body,
            *((self.search.text,) if self.search else ()),
        ]
        return Source(
            code="\n".join([*code, ""]),
            header="\n".join([*top, ""]),
            shape=self._shape(),
            weights=None if inside else _binary(floats, small),
            weight_bytes=floats.nbytes + small.nbytes,
            state_bytes=sizes.state,
            scratch=sizes.scratch,
            multiplications=math.ceil(self.multiplications),
            pointwise=math.ceil(self.pointwise),
            pairwise=sum(2 * node.output_size for node in attending),
        )

    def _shape(self) -> Shape:
        network = self.network
        tokens = None if network.table is None else len(network.table)
        every, tags = not network.pools, network.crf is not None
        part, context = network.forecasting, None
        if part is not None and part.beside:
            context = part.horizon * part.known, part.static, 1 if part.vectors is None else len(part.vectors)
        shortest = 1 if part is None or part.segments is None else part.segments.length
        return Shape(
            tokens,
            network.inputs,
            network.outputs,
            every,
            network.shortens,
            network.streams,
            tags,
            context,
            shortest,
        )

    def _arrays(self, floats: np.ndarray, small: np.ndarray) -> Iterator[str]:
        yield "static const float FLOATS[] = {"
        yield from _lines([text(x) for x in floats.tolist()] or ["0.0f"], 8)
        yield "};"
        if self.numbers.dtype == "int8":
            yield "static const int8_t BYTES[] = {"
            yield from _lines([str(x) for x in small.tolist()] or ["0"], 24)
            yield "};"

    def _init(self, floats: np.ndarray, small: np.ndarray) -> Iterator[str]:
        name, int8 = self.name, self.numbers.dtype == "int8"
        yield f"void {name}_reset({name}_state *s) {{"
        if self.carry:
            yield f"  memcpy(s->carry, s->floats + {self.initial}, {self.carry} * sizeof(float));"
        yield from (f"  {line}" for line in self.running.pool_reset())
        yield "  (void)s;\n}"
        if self.where == "inside":
            yield f"int {name}_init({name}_state *s) {{\n  s->floats = FLOATS;"
            yield from ["  s->bytes = BYTES;"] if int8 else []
        else:
            yield f"int {name}_init({name}_state *s, const void *weights, size_t size) {{"
            head = np.frombuffer(_binary(floats, small)[:16], "<u4").tolist()
            expected = ", ".join(f"{word}u" for word in head)
            yield f"  static const uint32_t head[4] = {{{expected}}};"
            right = f"size == {16 + floats.nbytes + small.nbytes}u && memcmp(weights, head, sizeof head) == 0"
            yield f"  if (!({right})) return 3;"
            yield "  s->floats = (const float *)weights + 4;"
            if int8:
                yield f"  s->bytes = (const int8_t *)(s->floats + {len(floats)});"
        if self.network.forecasting is not None and self.network.forecasting.beside:
            yield "  memset(s->beside, 0, sizeof s->beside);"
        yield f"  {name}_reset(s);\n  return 0;\n}}"


def _binary(floats: np.ndarray, small: np.ndarray) -> bytes:
    """Return a ``.bin``: four words, by which a model knows its own weights, all floats, all bytes."""
    content = floats.tobytes() + small.tobytes()
    check = int.from_bytes(hashlib.sha256(content).digest()[:4], "little")
    return np.array([MAGIC, len(floats), len(small), check], "<u4").tobytes() + content


def _lines(items: list[str], per_line: int) -> Iterator[str]:
    for start in range(0, len(items), per_line):
        yield f"  {', '.join(items[start : start + per_line])},"
