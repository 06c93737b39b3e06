"""Products with a weight in a traced graph."""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, fx

from seqmodels.errors import Refused
from seqmodels.fusion.builder import Builder
from seqmodels.fusion.lowering.moves import Moved, start
from seqmodels.fusion.lowering.rows import Row, as_number, pointwise, row, scale, spread_pieces
from seqmodels.fusion.ops import Op
from seqmodels.fusion.values import Value

if TYPE_CHECKING:
    from seqmodels.fusion.lowering.lower import Lower

aten = torch.ops.aten


def lower_product(lower: "Lower", node: fx.Node) -> Row | Moved:
    """Lower ``x @ W``, with or without a bias, or ``W @ x.T``, whose result has the batch last.

    Raises:
        Refused: neither side depends on parameters alone.
    """
    left, right = cast(Any, node.args[-2:])
    found, build = lower.weight_of(right), lower.builder
    flipped = found is None
    if found is None:
        found = lower.weight_of(left)
        if found is None or node.target is aten.addmm.default:
            raise Refused("a product of two values that both depend on the state")
        found = (found[0], not found[1])
    operand = as_number(build, lower.transposed(right)) if flipped else lower.number(left)
    width = int(node.meta["val"].shape[0 if flipped else 1])
    result = _in_parts(build, build.product(spread_pieces(build, operand.pieces), *found, width), lower.gate_width)
    if flipped:
        moved = start(result, batched=True)
        return moved._replace(places=moved.places.t())
    if node.target is aten.addmm.default:
        beta, alpha = (float(cast(Any, node.kwargs.get(k, 1))) for k in ("beta", "alpha"))
        bias = scale(build, lower.number(node.args[0]), beta)
        result = pointwise(build, Op.ADD, [bias, scale(build, result, alpha)])
    return result


def _in_parts(build: Builder, value: Value, size: int) -> Row:
    """Return a product in parts of the width of a gate: a sum over all its gates then needs the same parts as each."""
    if not size or value.op is not Op.PRODUCT or value.width % size:
        return row(value)
    parts = [build.cut(value, begin, size) for begin in range(0, value.width, size)]
    return Row((value.width,), tuple((part, size) for part in parts))


def has_batch_last(node: fx.Node, batch: int) -> bool:
    """Return whether a node is a matrix with the batch in its second dimension."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.dim() == 2 and value.shape[1] == batch
