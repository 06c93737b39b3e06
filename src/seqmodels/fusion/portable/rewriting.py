"""Rewrites a program so that its loop takes fewer operators."""

from seqmodels.fusion.ops import RECURRENT, Op
from seqmodels.fusion.program import Program, Rewriter
from seqmodels.fusion.values import Value, dependent

FACTORS = 32
"""How many factors of a product of numbers are regrouped at a time: enough for derivatives."""


def rewritten(program: Program) -> Program:
    """Return an equal program whose loop takes fewer operators.

    (late * early) * early becomes late * (early * early): one operator less in the loop, the rest in bulk. The gradient
    of relu, where(v <= 0, 0, late), becomes "threshold"(late, v), which is ten times as fast on CPUs.
    """
    late = dependent(program.values(), program.products, RECURRENT)

    def change(rewriter: Rewriter, value: Value) -> Value | None:
        if value not in late:
            return None
        if value.op is Op.WHERE and (relu := _relu_gradient(value)) is not None:
            return rewriter.builder.apply(Op.THRESHOLD, *map(rewriter, relu))
        return _regrouped(rewriter, value, late) if value.op is Op.MUL else None

    rewriter = Rewriter(program.products, change)
    outputs, carried, totals = map(rewriter.groups, (program.outputs, program.carried, program.totals))
    sizes = (program.streams, program.carries, program.vectors)
    return Program(*sizes, tuple(rewriter.builder.products), outputs, carried, totals, backwards=program.backwards)


def _regrouped(rewriter: Rewriter, value: Value, late: set[Value]) -> Value | None:
    """Multiply the early factors of a late value first, if there are several and only one late factor."""
    late_factors, early_factors = list[Value](), list[Value]()
    pending = [value]
    while pending:
        factor = pending.pop()
        count = len(late_factors) + len(early_factors) + len(pending)
        if factor in late and factor.op is Op.MUL and count < FACTORS:
            pending += reversed(factor.args)
        else:
            (late_factors if factor in late else early_factors).append(factor)
    if len(late_factors) > 1 or len(early_factors) < 2:
        return None
    product = rewriter(early_factors[0])
    for other in early_factors[1:]:
        product = rewriter.builder.apply(Op.MUL, product, rewriter(other))
    return rewriter.builder.apply(Op.MUL, rewriter(late_factors[0]), product)


def _relu_gradient(value: Value) -> tuple[Value, Value] | None:
    """Return x and v of a value ``where(v <= 0, 0, x)``, all of one width; None for any other."""
    condition, zero, x = value.args
    if condition.op is not Op.LE or not (zero.is_number and zero.number == 0):
        return None
    v, bound = condition.args
    same_width = v.width == x.width == value.width and not v.is_number and not x.is_number
    return (x, v) if same_width and bound.is_number and bound.number == 0 else None
