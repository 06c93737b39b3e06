"""Lowers nodes of a traced graph that only move numbers, by running them on indices."""

import operator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, fx

from seqmodels.errors import Refused
from seqmodels.fusion.lowering.moves import Found, Moved, layers, move, settle, start
from seqmodels.fusion.lowering.rows import Row, as_truth, pointwise
from seqmodels.fusion.ops import Op

if TYPE_CHECKING:
    from seqmodels.fusion.lowering.lower import Lower

aten = torch.ops.aten


def lower_move(lower: "Lower", node: fx.Node) -> Found:
    """Lower a node that only moves numbers, or that takes one of several results."""
    target, args = node.target, cast(Any, node.args)
    if target is operator.getitem:
        found = lower.known[args[0]]
        assert isinstance(found, list), args[0].target
        return found[args[1]]
    if target is aten.constant_pad_nd.default and len(args) > 2 and args[2] != 0:
        return _padded(lower, node)
    if target is aten.index_put.default:
        return _put(lower, node)
    call: Any = aten.reshape.default if target in (aten.view.default, aten._unsafe_view.default) else target
    return move(call, _for_move(lower, args), _for_move(lower, node.kwargs), lower.batch)


def _for_move(lower: "Lower", tree: Any) -> Any:
    if isinstance(tree, fx.Node):
        value = tree.meta["val"]
        if isinstance(value, Tensor) and not value.is_floating_point() and value.dtype != torch.bool:
            index = lower.literal(tree)
            if index is None:
                raise Refused("an index that is computed, not written down")
            return index
        return lower.moved(tree)
    if isinstance(tree, dict):
        return {key: _for_move(lower, value) for key, value in tree.items()}
    return [_for_move(lower, value) for value in tree] if isinstance(tree, list | tuple) else tree


def _padded(lower: "Lower", node: fx.Node) -> Row:
    """Pad with a number other than 0: choose it wherever ones, padded the same way, are 0."""
    build, args, target = lower.builder, cast(Any, node.args), cast(Any, node.target)
    ones = Row(lower(args[0]).shape, ((build.scalar(1.0), lower(args[0]).width),))
    given = [_for_move(lower, args[0]), start(ones, batched=True)]
    padded, inside = (settle(build, cast(Moved, move(target, [one, args[1]], {}, lower.batch))) for one in given)
    return pointwise(build, Op.WHERE, [as_truth(build, inside), padded, lower(args[2])])


def _put(lower: "Lower", node: fx.Node) -> Found:
    """Write values into places; where ``accumulate`` is set, add them to what is there."""
    args = cast(Any, node.args)
    base, index, values = lower.moved(args[0]), _for_move(lower, args[1]), lower.moved(args[2])
    if not (len(args) > 3 and args[3]):
        return move(cast(Any, node.target), [base, index, values], {}, lower.batch)
    total = settle(lower.builder, base)
    places = tuple(slice(None) if one is None else one for one in index)
    for layer in layers(base, places, values):
        total = pointwise(lower.builder, Op.ADD, [total, settle(lower.builder, layer)])
    return total
