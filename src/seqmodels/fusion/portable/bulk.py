"""What the portable executor computes in bulk: for many steps at once, before its loop over them."""

from collections.abc import Callable, Container, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.fusion.ops import COMPARISONS, POINTWISE, REDUCTIONS, Op
from seqmodels.fusion.values import Value, in_order

NUMBER_SECOND = COMPARISONS | {Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.POW, Op.FMOD, Op.REMAINDER}
"""Operators of torch whose second argument may be a number."""


class Computation(NamedTuple):
    """A value, torch's operator for it where it is a derivative that has one, and what it is computed from."""

    value: Value
    derivative: Callable[..., Tensor] | None
    arguments: tuple[Value, ...]


def bulk(values: Iterable[Value]) -> list[Computation]:
    """Return how values, and what they are computed from, are computed for many steps at once, in order."""
    chosen: dict[Value, Computation] = {}

    def arguments(value: Value) -> tuple[Value, ...]:
        chosen[value] = _derivative(value, chosen) or Computation(value, None, value.args)
        return chosen[value].arguments

    return [chosen[value] for value in in_order(values, arguments) if value.args]


def _derivative(value: Value, computed: Container[Value]) -> Computation | None:
    """Return torch's operator for a derivative of sigmoid or tanh times a factor."""
    for factor, rest in (value.args, value.args[::-1]) if value.op is Op.MUL else ():
        if rest in computed or factor.op is Op.SCALAR:
            continue
        if (s := _sigmoid_of(rest)) is not None:
            return Computation(value, torch.ops.aten.sigmoid_backward, (factor, s))
        if (t := _tanh_of(rest)) is not None:
            return Computation(value, torch.ops.aten.tanh_backward, (factor, t))
    return None


def _sigmoid_of(value: Value) -> Value | None:
    """Return s where a value is ``s * (1 - s)``."""
    for one, other in (value.args, value.args[::-1]) if value.op is Op.MUL else ():
        if _is_one_minus(other) and other.args[1] is one:
            return one
    return None


def _tanh_of(value: Value) -> Value | None:
    """Return t where a value is ``1 - t * t``."""
    square = value.args[1] if _is_one_minus(value) else None
    return square.args[0] if square and square.op is Op.MUL and square.args[0] is square.args[1] else None


def _is_one_minus(value: Value) -> bool:
    return value.op is Op.SUB and value.args[0].op is Op.SCALAR and value.args[0].number == 1


def evaluate(value: Value, known: dict[Value, Tensor]) -> Tensor:
    """Compute a value with torch operators from the tensors ``(..., width)`` of values in ``known``, and keep it."""
    for each in in_order([value], lambda each: () if each in known else each.args):
        if each not in known and each.op is not Op.SCALAR:
            known[each] = _computed(each, known)
    return known[value] if value in known else _filled(value.number, known)


def _computed(value: Value, known: dict[Value, Tensor]) -> Tensor:
    """Apply a value's operator to tensors and numbers."""
    op = value.op
    arguments = [a.number if a.op is Op.SCALAR else known[a] for a in value.args]
    first = arguments[0]
    if op in REDUCTIONS or op is Op.SPREAD:
        one = first if isinstance(first, Tensor) else _filled(first, known)
        return one.expand(*one.shape[:-1], value.width) if op is Op.SPREAD else REDUCTIONS[op](one, -1, keepdim=True)
    if not (op in NUMBER_SECOND and isinstance(first, Tensor)) and not all(isinstance(a, Tensor) for a in arguments):
        like = next(a for a in (*arguments, *known.values()) if isinstance(a, Tensor) and a.is_floating_point())
        arguments = [a if isinstance(a, Tensor) else like.new_full((), a) for a in arguments]
    return POINTWISE[op](*arguments)


def _filled(number: float, known: dict[Value, Tensor]) -> Tensor:
    """Return one number for every row; any tensor at hand tells how many there are."""
    like = next(iter(known.values()))
    return like.new_full((1,), number).expand(*like.shape[:-1], 1)
