"""What the portable executor computes for many steps at once, before its loop over them."""

from collections.abc import Callable, Container, Iterable
from typing import Any

import torch
from torch import Tensor

from seqmodels.fusion.values import COMPARISONS, POINTWISE, REDUCTIONS, Value, in_order, number_of

NUMBER_SECOND = {"add", "sub", "mul", "div", "pow", "fmod", "remainder", *COMPARISONS}
"""Operators of torch whose second argument may be a number."""


def bulk(values: Iterable[Value]) -> list[tuple[Value, Callable[..., Tensor] | None, tuple[Value, ...]]]:
    """Return in order how values are computed for many steps at once: by ``evaluate``, or an operator for a derivative.

    Each comes with that operator, or None, and its arguments.
    """
    chosen: dict[Value, tuple[Callable[..., Tensor] | None, tuple[Value, ...]]] = {}

    def arguments(value: Value) -> tuple[Value, ...]:
        chosen[value] = _derivative(value, chosen) or (None, value.args)
        return chosen[value][1]

    return [(value, *chosen[value]) for value in in_order(values, arguments) if value.args]


def _derivative(value: Value, computed: Container[Value]) -> tuple[Callable[..., Tensor], tuple[Value, Value]] | None:
    """Return torch's operator for a derivative of sigmoid or tanh times a factor, and its arguments."""
    for factor, rest in (value.args, value.args[::-1]) if value.op == "mul" else ():
        if rest in computed or factor.op == "scalar":
            continue
        if (s := _sigmoid_of(rest)) is not None:
            return torch.ops.aten.sigmoid_backward, (factor, s)
        if (t := _tanh_of(rest)) is not None:
            return torch.ops.aten.tanh_backward, (factor, t)
    return None


def _sigmoid_of(value: Value) -> Value | None:
    """Return s where a value is ``s * (1 - s)``."""
    for one, other in (value.args, value.args[::-1]) if value.op == "mul" else ():
        if _is_one_minus(other) and other.args[1] is one:
            return one
    return None


def _tanh_of(value: Value) -> Value | None:
    """Return t where a value is ``1 - t * t``."""
    square = value.args[1] if _is_one_minus(value) else None
    return square.args[0] if square is not None and square.op == "mul" and square.args[0] is square.args[1] else None


def _is_one_minus(value: Value) -> bool:
    return value.op == "sub" and value.args[0].op == "scalar" and number_of(value.args[0]) == 1


def evaluate(value: Value, known: dict[Value, Any]) -> Tensor:
    """Compute a value with torch operators from the tensors ``(..., width)`` of values in ``known``, and keep it."""
    for each in in_order([value], lambda each: () if each in known else each.args):
        if each not in known and each.op != "scalar":
            arguments = [known[a] if a in known else number_of(a) for a in each.args]
            known[each] = _computed(each, arguments, known)
    return known[value] if value in known else _filled(number_of(value), known)


def _computed(value: Value, arguments: list[Any], known: dict[Value, Any]) -> Tensor:
    """Apply a value's operator to tensors, some of which may be Python numbers."""
    op, first = value.op, arguments[0]
    if op in REDUCTIONS:
        return REDUCTIONS[op](first, dim=-1, keepdim=True)
    if op == "spread":
        one = first if isinstance(first, Tensor) else _filled(first, known)
        return one.expand(*one.shape[:-1], value.width)
    taken = isinstance(first, Tensor) and op in NUMBER_SECOND
    if not taken and not all(isinstance(argument, Tensor) for argument in arguments):
        like = next(a for a in (*arguments, *known.values()) if isinstance(a, Tensor) and a.is_floating_point())
        arguments = [a if isinstance(a, Tensor) else like.new_full((), a) for a in arguments]
    return POINTWISE[op](*arguments)


def _filled(number: float, known: dict[Value, Any]) -> Tensor:
    """Return one number for every row; any tensor at hand tells how many there are."""
    like = next(iter(known.values()))
    return like.new_full((1,), number).expand(*like.shape[:-1], 1)
