"""From sums over the batch to the gradients of parameters.

The traced gradient of a parameter sums over the batch at one place, a *contraction*; after it there is no batch. Over a
sequence the contractions of all steps add up. What comes after is applied once, to the sum over all steps, which gives
the same result if it is linear.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from seqmodels.errors import Refused
from seqmodels.fusion.lowering.operators import CREATED, FILLED, MOVES, SAME
from seqmodels.fusion.tracing.form import BATCH
from seqmodels.fusion.tracing.lines import where

aten = torch.ops.aten
SUMMING = {aten.sum.dim_IntList, aten.sum.default, torch.ops.prims.sum.default}
EACH = MOVES | SAME | SUMMING | {aten.neg.default, aten.mean.dim, aten.mean.default, aten._to_copy.default}
EACH |= {aten.add.Tensor, aten.sub.Tensor, aten.copy.default}
"""Linear in all their tensors together."""
FIRST = {aten.div.Tensor, aten.div.Scalar, aten.mul.Scalar, aten.mul.Tensor, aten.mm.default, aten.bmm.default}
"""Linear in one tensor if the others are constant; a divisor must be."""
SOLVED = {aten.linalg_lu_solve.default: 2, aten.linalg_solve_triangular.default: 1}
"""Linear in the argument at this position."""


def is_contraction(node: fx.Node) -> bool:
    """Return whether a node sums over the batch."""
    if node.target is aten.mm.default:
        return _shape(node.args[0])[1:] == (BATCH,)
    return node.target in SUMMING and _shape(node.args[0])[:1] == (BATCH,)


def contractions(wanted: Sequence[fx.Node], constant: dict[fx.Node, None]) -> tuple[list[fx.Node], list[fx.Node]]:
    """Return the contractions that gradients need, and the nodes that come after them, in order.

    Raises:
        Refused: what comes after them is not linear in them.
    """
    found: dict[fx.Node, None] = {}
    after: dict[fx.Node, None] = {}
    stack = [(node, False) for node in reversed(wanted)]
    while stack:
        node, ready = stack.pop()
        if node in constant or node in found or node in after:
            continue
        if is_contraction(node):
            found[node] = None
        elif ready:
            after[node] = None
        else:
            stack.append((node, True))
            stack += [(argument, False) for argument in reversed(node.all_input_nodes)]
    for node in after:
        _check_linear(node, constant)
    backwards = reversed(wanted[0].graph.nodes) if wanted else ()  # then in the order of the forward pass
    return [node for node in backwards if node in found], list(after)


def _check_linear(node: fx.Node, constant: dict[fx.Node, None]) -> None:
    def is_constant(argument: Any) -> bool:
        return not isinstance(argument, fx.Node) or argument in constant

    def is_zeros(argument: Any) -> bool:
        return isinstance(argument, fx.Node) and "zeros" in str(argument.target)

    inputs = node.all_input_nodes
    moving = [one for one in inputs if not is_constant(one)]
    linear: bool = node.target in CREATED | FILLED
    if node.target in EACH:
        indices = [one for one in inputs if not one.meta["val"].is_floating_point()]
        linear = all(one in moving or is_zeros(one) or one in indices for one in inputs)
    elif node.target in FIRST:
        linear = len(moving) == 1 and node.args.count(moving[0]) == 1
        linear = linear and not ("div" in str(node.target) and not is_constant(node.args[1]))
    elif node.target in SOLVED:
        linear = moving == [node.args[SOLVED[node.target]]]
    elif node.target is aten.where.self:
        linear = is_constant(node.args[0]) and all(not is_constant(one) or _is_zero(one) for one in node.args[1:])
    elif node.target is aten.masked_fill.Scalar:
        linear = is_constant(node.args[1]) and bool(node.args[2] == 0)
    shapes = [value.shape for value in (n.meta.get("val") for n in (node, *inputs)) if isinstance(value, Tensor)]
    if not linear or any(BATCH in shape for shape in shapes):
        raise Refused(f"the gradient of a parameter goes through {node.target} for each step alone\n{where(node)}")


def _is_zero(argument: Any) -> bool:
    if not isinstance(argument, fx.Node):
        return bool(argument == 0)
    number: Any = argument.args[0] if argument.target is aten.scalar_tensor.default else None
    return bool(number == 0) or "zeros" in str(argument.target)


def function(
    root: nn.Module,
    given: Sequence[fx.Node],
    constant: dict[fx.Node, None],
    sums: Sequence[fx.Node],
    after: Sequence[fx.Node],
    results: Sequence[fx.Node | None],
) -> fx.GraphModule:
    """Return a function of the constants, and of the sums over all steps, to those results.

    The sum of a contraction of products replaces its node. The sum of rows ``(1, ...)`` replaces the argument of its
    node, which then also sums over whatever other dimensions it does.
    """
    new, copies = fx.Graph(), {}
    for node in given:
        copies[node] = new.placeholder(node.name)
    taken = {node: new.placeholder(f"sum_of_{node.name}") for node in sums}
    for node in constant:
        if node not in copies:
            copies[node] = new.node_copy(node, copies.__getitem__)
    for node, placeholder in taken.items():
        if node.target is aten.mm.default:
            copies[node] = placeholder
        else:
            copies[node] = new.node_copy(node, lambda _, one=placeholder: one)  # type: ignore[misc]
    for node in after:
        copies[node] = new.node_copy(node, copies.__getitem__)
    new.output(tuple(None if node is None else copies[node] for node in results))
    new.eliminate_dead_code()
    return fx.GraphModule(root, new)


def _shape(argument: Any) -> tuple[int, ...]:
    return tuple(cast(fx.Node, argument).meta["val"].shape)
