"""A network as one C99 file and a header."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from seqmodels.exporting.c.functions import needed
from seqmodels.exporting.c.header import Sizes, header
from seqmodels.exporting.c.layers import Placed, leaves_of
from seqmodels.exporting.c.network import Network
from seqmodels.exporting.c.products import function
from seqmodels.exporting.c.running import Running
from seqmodels.exporting.c.step import text, written
from seqmodels.exporting.c.weights import DType, Weights

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
        streams: whether there is a function for a single step.
    """

    tokens: int | None
    inputs: int
    outputs: int
    every: bool
    streams: bool


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
        multiplications, pointwise: multiply-adds and other operations of a step, the output layer included.
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
        leaves = list(leaves_of(network.node))
        self.steps = [written(f"layer{i}", leaf.traced, self.numbers) for i, leaf in enumerate(leaves)]
        if network.head is not None:
            self.steps.append(written("output_layer", network.head, self.numbers))
        sizes = [leaf.traced.initial.numel() for leaf in leaves]
        placed = [Placed(f"layer{i}", sum(sizes[:i])) for i in range(len(leaves))]
        self.carry = sum(sizes)
        self.initial = self.numbers.floats(torch.cat([leaf.traced.initial for leaf in leaves]))
        self.running = Running(name, network, table, placed, int8=dtype == "int8")

    def source(self) -> Source:
        running, steps, int8 = self.running, self.steps, self.numbers.dtype == "int8"
        body = list(running.lines())
        work = max(step.work for step in steps)
        sizes = Sizes(self.carry, running.pool, running.rows, work, running.scratch)
        inside = self.where == "inside"
        top = header(self.name, self.network, sizes, about=self.about, inside=inside, int8=int8)
        floats, small = self.numbers.arrays()
        code = [
            f"/* {self.about} */",
            *("#include <math.h>", "#include <string.h>", "", f'#include "{self.name}.h"', ""),
            *(self._arrays(floats, small) if inside else ()),
            *needed(name for step in steps for name in step.functions),
            *(function(wide=wide, int8=int8) for wide in sorted({wide for step in steps for wide in step.products})),
            *(step.text for step in steps),
            *self._init(floats, small),
            *body,
        ]
        return Source(
            code="\n".join([*code, ""]),
            header="\n".join([*top, ""]),
            shape=self._shape(),
            weights=None if inside else _binary(floats, small),
            weight_bytes=floats.nbytes + small.nbytes,
            state_bytes=sizes.state,
            scratch=sizes.scratch,
            multiplications=sum(step.multiplications for step in steps),
            pointwise=sum(step.pointwise for step in steps),
        )

    def _shape(self) -> Shape:
        network = self.network
        tokens = None if network.table is None else len(network.table)
        return Shape(tokens, network.inputs, network.outputs, not network.pools, network.streams)

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
        yield f"  {name}_reset(s);\n  return 0;\n}}"


def _binary(floats: np.ndarray, small: np.ndarray) -> bytes:
    """Return a ``.bin``: four words, by which a model knows its own weights, all floats, all bytes."""
    content = floats.tobytes() + small.tobytes()
    check = int.from_bytes(hashlib.sha256(content).digest()[:4], "little")
    return np.array([MAGIC, len(floats), len(small), check], "<u4").tobytes() + content


def _lines(items: list[str], per_line: int) -> Iterator[str]:
    for start in range(0, len(items), per_line):
        yield f"  {', '.join(items[start : start + per_line])},"
