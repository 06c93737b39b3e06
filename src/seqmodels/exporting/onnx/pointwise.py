"""Pointwise operators of a traced step as nodes of ONNX."""

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from seqmodels.fusion.ops import TRUTHS, Op
from seqmodels.fusion.values import Value


class Nodes:
    """A list of ONNX nodes under construction.

    Args:
        prefix: begins the names of all values, which must be unique in a whole model for ONNX Runtime.
        version: of ONNX's operators.
    """

    def __init__(self, prefix: str, version: int) -> None:
        self.nodes: list[ir.Node] = []
        self._prefix, self._version, self._count = prefix, version, 0
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], ir.Value] = {}

    def name(self, value: ir.Value) -> ir.Value:
        """Give a value a name of its own."""
        value.name = f"{self._prefix}_{self._count}"
        self._count += 1
        return value

    def __call__(self, op: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
        """Add a node with one output."""
        found = [ir.AttrInt64(name, value) for name, value in attributes.items()]
        node = ir.Node("", op, inputs, found, version=self._version)
        self.nodes.append(node)
        return self.name(node.outputs[0])

    def constant(self, array: np.ndarray) -> ir.Value:
        """Return a constant, which is stored once."""
        key = (str(array.dtype), array.tobytes(), array.shape)
        if key not in self._constants:
            node = ir.Node("", "Constant", (), [ir.AttrTensor("value", ir.tensor(array))], version=self._version)
            self.nodes.append(node)
            self._constants[key] = self.name(node.outputs[0])
        return self._constants[key]

    def number(self, number: float) -> ir.Value:
        """Return a float32 scalar."""
        return self.constant(np.asarray(number, np.float32))

    def integers(self, *numbers: int) -> ir.Value:
        """Return a vector of int64."""
        return self.constant(np.array(numbers, np.int64))

    def cut(self, value: ir.Value, start: int, width: int) -> ir.Value:
        """Return columns of a value.

        With steps of 1: without them onnxscript 0.7 takes two slices of an odd width for two halves.
        """
        ends = (self.integers(start), self.integers(start + width))
        return self("Slice", value, *ends, self.integers(-1), self.integers(1))

    def real(self, value: ir.Value) -> ir.Value:
        """Return truth values as 0 and 1."""
        return self("Cast", value, to=int(ir.DataType.FLOAT))

    def truth(self, value: ir.Value) -> ir.Value:
        """Return which numbers are not 0."""
        return self("Not", self("Equal", value, self.number(0)))


def is_truth(value: Value) -> bool:
    """Return whether the values of an expression are true or false."""
    while value.op in (Op.WHERE, Op.SPREAD):
        value = value.args[1] if value.op is Op.WHERE else value.args[0]
    return value.op in TRUTHS


_LIKE_TORCH = (
    *(Op.AND, Op.OR, Op.XOR, Op.NOT, Op.FLOOR, Op.CEIL, Op.ROUND, Op.NEG, Op.ABS, Op.SIGN),
    *(Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.POW, Op.RELU, Op.WHERE, Op.EXP, Op.SQRT, Op.LOG, Op.SIGMOID, Op.ERF),
    *(Op.SIN, Op.COS, Op.TAN, Op.ASIN, Op.ACOS, Op.ATAN),
    *(Op.SINH, Op.COSH, Op.TANH, Op.ASINH, Op.ACOSH, Op.ATANH),
)
NAMES = {op: op.value.capitalize() for op in _LIKE_TORCH} | {
    Op.GT: "Greater",
    Op.GE: "GreaterOrEqual",
    Op.LT: "Less",
    Op.LE: "LessOrEqual",
    Op.EQ: "Equal",
    Op.MAXIMUM: "Max",
    Op.MINIMUM: "Min",
}
"""Operators that ONNX has."""


def pointwise(nodes: Nodes, value: Value, arguments: list[ir.Value]) -> ir.Value:
    """Add what computes a pointwise operator of a step."""
    logical = value.op in (Op.AND, Op.OR, Op.XOR, Op.NOT)
    truths = [is_truth(argument) for argument in value.args]
    either = value.op in (Op.EQ, Op.NE) and all(truths)
    for i, truth in enumerate(truths):
        wanted = logical or either or (value.op is Op.WHERE and (i == 0 or is_truth(value)))
        if truth != wanted:
            arguments[i] = nodes.truth(arguments[i]) if wanted else nodes.real(arguments[i])
    if value.op in NAMES:
        return nodes(NAMES[value.op], *arguments)
    return COMPOSED[value.op](nodes, *arguments)


def _expm1(nodes: Nodes, x: ir.Value) -> ir.Value:
    """Return exp(x) - 1, near 0 as 2 t / (1 - t) of t = tanh(x / 2), which keeps small numbers exact."""
    t = nodes("Tanh", nodes("Mul", x, nodes.number(0.5)))
    near = nodes("Div", nodes("Add", t, t), nodes("Sub", nodes.number(1), t))
    is_near = nodes("Less", nodes("Abs", x), nodes.number(0.5))
    return nodes("Where", is_near, near, nodes("Sub", nodes("Exp", x), nodes.number(1)))


def _log1p(nodes: Nodes, x: ir.Value) -> ir.Value:
    """Return log(1 + x), corrected by what rounding 1 + x loses."""
    one = nodes.number(1)
    u = nodes("Add", one, x)
    d = nodes("Sub", u, one)
    lost = nodes("Or", nodes("Equal", d, nodes.number(0)), nodes("Equal", u, nodes.number(math.inf)))
    corrected = nodes("Mul", nodes("Log", u), nodes("Div", x, nodes("Where", lost, one, d)))
    return nodes("Where", lost, x, corrected)


def _remainder(nodes: Nodes, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return the remainder with the sign of the divisor."""
    rest, zero = nodes("Mod", a, b, fmod=1), nodes.number(0)
    apart = nodes("Xor", nodes("Less", rest, zero), nodes("Less", b, zero))
    wrong = nodes("And", apart, nodes("Not", nodes("Equal", rest, zero)))
    return nodes("Where", wrong, nodes("Add", rest, b), rest)


def _atan2(nodes: Nodes, y: ir.Value, x: ir.Value) -> ir.Value:
    zero, pi = nodes.number(0), nodes.number(math.pi)
    origin = nodes("And", nodes("Equal", x, zero), nodes("Equal", y, zero))
    angle = nodes("Atan", nodes("Div", y, nodes("Where", origin, nodes.number(1), x)))
    turn = nodes("Where", nodes("Less", y, zero), nodes("Neg", pi), pi)
    return nodes("Add", angle, nodes("Where", nodes("Less", x, zero), turn, zero))


def _scaled_log(base: float) -> Callable[[Nodes, ir.Value], ir.Value]:
    return lambda nodes, x: nodes("Mul", nodes("Log", x), nodes.number(1 / math.log(base)))


COMPOSED: dict[Op, Callable[..., ir.Value]] = {
    Op.NE: lambda nodes, a, b: nodes("Not", nodes("Equal", a, b)),
    Op.TRUNC: lambda nodes, x: nodes("Mul", nodes("Sign", x), nodes("Floor", nodes("Abs", x))),
    Op.FMOD: lambda nodes, a, b: nodes("Mod", a, b, fmod=1),
    Op.REMAINDER: _remainder,
    Op.EXP2: lambda nodes, x: nodes("Pow", nodes.number(2), x),
    Op.EXPM1: _expm1,
    Op.RSQRT: lambda nodes, x: nodes("Reciprocal", nodes("Sqrt", x)),
    Op.LOG2: _scaled_log(2),
    Op.LOG10: _scaled_log(10),
    Op.LOG1P: _log1p,
    Op.ERFC: lambda nodes, x: nodes("Sub", nodes.number(1), nodes("Erf", x)),
    Op.ATAN2: _atan2,
}
"""Operators that ONNX lacks, composed of others."""
