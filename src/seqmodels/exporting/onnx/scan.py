"""The program of a traced step as the body of an ONNX ``Scan``.

``torch.export`` leaves a recurrence as one operator, ``torch.ops.seqmodels.recurrence``. It is decomposed into what its
weights are computed from, which ordinary operators of the graph do, and ``torch.ops.seqmodels.scan``, the loop alone,
which :func:`translated` writes as a ``Scan``.
"""

from collections.abc import Sequence
from itertools import count

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from seqmodels.exporting.onnx.pointwise import Nodes, pointwise
from seqmodels.exporting.onnx.torch_internals import call, opset
from seqmodels.fusion import operators
from seqmodels.fusion.function import Inputs, hoisted
from seqmodels.fusion.ops import LEAVES, REDUCTIONS, Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Product, Selection, Value, dependent, width
from seqmodels.fusion.written import read

assert operators  # it defines torch.ops.seqmodels.recurrence
torch.library.define(
    "seqmodels::scan",
    "(str step, Tensor[] streams, Tensor[] carries, Tensor[] restarts, Tensor[] matrices, Tensor[] vectors,"
    " Tensor? lengths, Tensor? resets) -> Tensor[]",
)
_REDUCTIONS = {Op.SUM: "ReduceSum", Op.AMAX: "ReduceMax", Op.AMIN: "ReduceMin"}
_numbers = count()


@torch.library.register_fake("seqmodels::scan")
def _(
    step: str,
    streams: Sequence[Tensor],
    carries: Sequence[Tensor],
    restarts: Sequence[Tensor],
    matrices: Sequence[Tensor],
    vectors: Sequence[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
) -> list[Tensor]:
    del restarts, matrices, vectors, lengths, resets
    y = streams[0].new_empty(*streams[0].shape[:2], width(read(step).forward.outputs[0]))
    return [y, *(torch.empty_like(carry, memory_format=torch.contiguous_format) for carry in carries)]


def decomposed(
    step: str,
    streams: list[Tensor],
    carries: list[Tensor],
    restarts: list[Tensor],
    constants: list[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
) -> list[Tensor]:
    """Compute ``torch.ops.seqmodels.recurrence`` for inference: weights and vectors, then the loop."""
    known = read(step)
    weights, vectors = hoisted(known, Inputs(streams, carries, restarts, constants, {}))
    products = [product for product in known.forward.products if isinstance(product, Product)]
    matrices = [weights[p.weight].t() if p.transposed else weights[p.weight] for p in products]
    found: list[Tensor] = torch.ops.seqmodels.scan(step, streams, carries, restarts, matrices, vectors, lengths, resets)
    return found


def translated(
    step: str,
    streams: Sequence[ir.Value],
    carries: Sequence[ir.Value],
    restarts: Sequence[ir.Value],
    matrices: Sequence[ir.Value],
    vectors: Sequence[ir.Value],
    lengths: ir.Value | None = None,
    resets: ir.Value | None = None,
) -> list[ir.Value]:
    """Write ``torch.ops.seqmodels.scan`` as an ONNX ``Scan``; the exporter of PyTorch calls this.

    Returns:
        The output ``(batch, time, output)``, and the carries ``(batch, width)`` after the last steps.
    """
    program = read(step).forward
    body = _Body(program, restarts, matrices, vectors, masked=lengths is not None, resets=resets is not None)
    flags = [] if lengths is None else [_real_steps(streams[0], lengths)]
    if resets is not None:
        flags.append(call("Unsqueeze", resets, _integers(2))[0])
    scanned = [*streams, *flags]
    *final, y = call(
        "Scan",
        *carries,
        *scanned,
        outputs=len(carries) + 1,
        body=body.graph(),
        num_scan_inputs=len(scanned),
        scan_input_axes=[1] * len(scanned),
        scan_output_axes=[1],
    )
    return [y, *final]


def _integers(*numbers: int) -> ir.Value:
    return call("Constant", value=ir.tensor(np.array(numbers, np.int64)))[0]


def _real_steps(stream: ir.Value, lengths: ir.Value) -> ir.Value:
    """Return a mask ``(batch, time, 1)`` of the steps before each row's length."""
    zero, one = (call("Constant", value=ir.tensor(np.int64(number)))[0] for number in (0, 1))
    time = call("Squeeze", call("Shape", stream, start=1, end=2)[0])[0]
    steps = call("Range", zero, time, one)[0]
    mask = call("Less", steps, call("Unsqueeze", lengths, _integers(1))[0])[0]
    return call("Unsqueeze", mask, _integers(2))[0]


class _Body:
    """The body of a ``Scan``: one step, for all rows of the batch.

    Its weights and vectors are values of the graph around it.
    """

    def __init__(
        self,
        program: Program,
        restarts: Sequence[ir.Value],
        matrices: Sequence[ir.Value],
        vectors: Sequence[ir.Value],
        *,
        masked: bool,
        resets: bool,
    ) -> None:
        prefix = f"scan{next(_numbers)}"
        self.program, self.prefix = program, prefix
        self.nodes = Nodes(prefix, opset())
        self.given = [self._input(size) for size in program.carries]
        self.streams = [self._input(size) for size in program.streams]
        self.keep = self._input(1, ir.DataType.BOOL) if masked else None
        self.reset = self._input(1, ir.DataType.BOOL) if resets else None
        self.carries = [*self.given]
        self.restarts, self.vectors = restarts, vectors
        rest = iter(matrices)
        self.matrices = [next(rest) if isinstance(product, Product) else None for product in program.products]
        self.rows = dependent(program.values(), program.products, (Op.STREAM, Op.CARRY, Op.PRODUCT))
        self.known: dict[Value, ir.Value] = {}
        self.products: dict[int, ir.Value] = {}

    def graph(self) -> ir.Graph:
        """Return the graph: carries, streams and masks in, carries and the output of a step out."""
        program, nodes = self.program, self.nodes
        like = (self.given or self.streams)[0]
        rows = nodes("Gather", nodes("Shape", like), nodes.integers(0))
        self.column = nodes("Concat", rows, nodes.integers(1), axis=0)  # the shape (batch, 1)
        if self.reset is not None:
            pairs = zip(self.restarts, self.given, strict=True)
            self.carries = [nodes("Where", self.reset, start, carry) for start, carry in pairs]
        for value in program.values():
            self.known[value] = self._computed(value)
        carried = [self._row(group) for group in program.carried]
        y = self._row(program.outputs[0])
        if self.keep is not None:
            pairs = zip(carried, self.given, strict=True)
            carried = [nodes("Where", self.keep, after, before) for after, before in pairs]
            y = nodes("Where", self.keep, y, nodes.number(0))
        outputs = [nodes("Identity", value) for value in (*carried, y)]  # each an output of its own
        for output, size in zip(outputs, (*program.carries, width(program.outputs[0])), strict=True):
            output.type, output.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([None, size])
        masks = [one for one in (self.keep, self.reset) if one is not None]
        return ir.Graph([*self.given, *self.streams, *masks], outputs, nodes=nodes.nodes, name=self.prefix)

    def _input(self, size: int, dtype: ir.DataType = ir.DataType.FLOAT) -> ir.Value:
        return self.nodes.name(ir.Value(shape=ir.Shape([None, size]), type=ir.TensorType(dtype)))

    def _computed(self, value: Value) -> ir.Value:
        nodes, op = self.nodes, value.op
        if op is Op.SCALAR:
            return nodes.number(value.number)
        if op is Op.PRODUCT:
            source = value.columns.source
            if source not in self.products:
                self.products[source] = self._product(source)
            return self._columns(value, self.products[source], self.program.products[source].width)
        if op in LEAVES:
            kind = {Op.STREAM: self.streams, Op.CARRY: self.carries, Op.VECTOR: self.vectors}[op]
            sizes = {Op.STREAM: self.program.streams, Op.CARRY: self.program.carries, Op.VECTOR: self.program.vectors}
            source = value.columns.source
            return self._columns(value, kind[source], sizes[op][source])
        arguments = [self.known[argument] for argument in value.args]
        if op is Op.SPREAD:
            return nodes("Expand", arguments[0], nodes.integers(1, value.width))
        if op in REDUCTIONS:
            whole = self._row(value.args)
            return nodes(_REDUCTIONS[op], whole, nodes.integers(-1), keepdims=1)
        return pointwise(nodes, value, arguments)

    def _columns(self, value: Value, source: ir.Value, whole: int) -> ir.Value:
        if value.width == whole:
            return source
        return self.nodes.cut(source, value.columns.start, value.width)

    def _product(self, source: int) -> ir.Value:
        nodes, product, matrix = self.nodes, self.program.products[source], self.matrices[source]
        operand = self._row(product.operand)
        if matrix is not None:
            return nodes("MatMul", operand, matrix)
        assert isinstance(product, Selection)
        columns = [*product.columns]
        if -1 in columns:
            operand = nodes("Concat", operand, nodes("Expand", nodes.number(0), self.column), axis=-1)
            columns = [width(product.operand) if column == -1 else column for column in columns]
        return nodes("Gather", operand, nodes.integers(*columns), axis=-1)

    def _row(self, group: Sequence[Value]) -> ir.Value:
        """Return values side by side, ``(batch, width)``."""
        parts = [self.known[value] if value in self.rows else self._expanded(value) for value in group]
        return parts[0] if len(parts) == 1 else self.nodes("Concat", *parts, axis=-1)

    def _expanded(self, value: Value) -> ir.Value:
        """Return a value that is the same for all rows once for each of them."""
        return self.nodes("Expand", self.known[value], self.column)
