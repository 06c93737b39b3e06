"""The operators of values, and groups of them."""

from collections.abc import Callable
from enum import StrEnum

import torch
from torch import Tensor


class Op(StrEnum):
    """What computes a value; the texts are torch's names.

    ``STREAM`` is an input of every step, ``CARRY`` is passed from step to step, ``VECTOR`` is the same for all rows and
    steps. ``COTANGENT`` is a gradient that comes in, while a backward program is derived. ``THRESHOLD(x, v)``, 0 where
    v <= 0 and else x, is the portable executor's own. No program that an executor receives holds either of these two.
    """

    STREAM, CARRY, VECTOR, COTANGENT, SCALAR = "stream", "carry", "vector", "cotangent", "scalar"
    PRODUCT, SPREAD, SUM, AMAX, AMIN = "product", "spread", "sum", "amax", "amin"
    GT, GE, LT, LE, EQ, NE = "gt", "ge", "lt", "le", "eq", "ne"
    AND, OR, XOR, NOT = "and", "or", "xor", "not"
    FLOOR, CEIL, ROUND, TRUNC = "floor", "ceil", "round", "trunc"
    ADD, SUB, MUL, DIV, NEG = "add", "sub", "mul", "div", "neg"
    POW, FMOD, REMAINDER = "pow", "fmod", "remainder"
    MAXIMUM, MINIMUM, RELU, ABS, SIGN, WHERE = "maximum", "minimum", "relu", "abs", "sign", "where"
    EXP, EXP2, EXPM1, SQRT, RSQRT = "exp", "exp2", "expm1", "sqrt", "rsqrt"
    LOG, LOG2, LOG10, LOG1P = "log", "log2", "log10", "log1p"
    SIGMOID, ERF, ERFC = "sigmoid", "erf", "erfc"
    SIN, COS, TAN, ASIN, ACOS, ATAN, ATAN2 = "sin", "cos", "tan", "asin", "acos", "atan", "atan2"
    SINH, COSH, TANH, ASINH, ACOSH, ATANH = "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"
    THRESHOLD = "threshold"


INPUTS = frozenset({Op.STREAM, Op.CARRY, Op.VECTOR})
"""Leaves of a program: columns of its inputs."""
LEAVES = INPUTS | {Op.COTANGENT, Op.SCALAR}
RECURRENT = frozenset({Op.CARRY, Op.PRODUCT})
"""Values that the loop over time must compute: carries, and products, since most multiply one."""
COMPARISONS = frozenset({Op.GT, Op.GE, Op.LT, Op.LE, Op.EQ, Op.NE})
LOGICAL = frozenset({Op.AND, Op.OR, Op.XOR, Op.NOT})
TRUTHS = COMPARISONS | LOGICAL
"""Operators whose result is true or false: never a root of a program or an operand of a product."""
REDUCTIONS: dict[Op, Callable[..., Tensor]] = {Op.SUM: torch.sum, Op.AMAX: torch.amax, Op.AMIN: torch.amin}
_NOT_POINTWISE = LEAVES | REDUCTIONS.keys() | {Op.PRODUCT, Op.SPREAD, Op.THRESHOLD}
POINTWISE: dict[Op, Callable[..., Tensor]] = {
    op: getattr(torch, f"logical_{op}" if op in LOGICAL else op) for op in Op if op not in _NOT_POINTWISE
}
COMMUTATIVE = frozenset({Op.ADD, Op.MUL, Op.MAXIMUM, Op.MINIMUM})
CHEAP = frozenset({Op.ADD, Op.SUB, Op.MUL, Op.NEG, Op.WHERE, Op.MAXIMUM, Op.MINIMUM, Op.ABS, Op.SIGN}) | TRUTHS
CHEAP |= {Op.FLOOR, Op.CEIL, Op.ROUND, Op.TRUNC}
"""Operators that cost less than storing their result and reading it back: the backward pass computes them again."""
