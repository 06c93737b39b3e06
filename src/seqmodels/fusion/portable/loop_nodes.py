"""The operators of the loop in order: which values each of them computes."""

from dataclasses import dataclass

from seqmodels.fusion.ops import Op
from seqmodels.fusion.portable.buffers import Layout, Place
from seqmodels.fusion.portable.loop_plan import LoopPlan
from seqmodels.fusion.values import Value

END = 1 << 30
"""In place of a node's number: after the step."""


@dataclass(frozen=True)
class Multiply:
    """Computes the product or selection of a number, with what is added to all its columns."""

    product: int


@dataclass(frozen=True)
class Activate:
    """Computes sigmoids (and tanhs, as sigmoids) of adjacent columns of a product."""

    values: tuple[Value, ...]


Node = Value | Multiply | Activate
"""One operator of the loop; a value stands for its own pointwise operator, reduction or view."""


class LoopNodes:
    """The nodes of a loop; with ``smooth`` tanhs may be computed as sigmoids."""

    def __init__(self, plan: LoopPlan, layout: Layout, smooth: bool) -> None:
        self.plan, self.places, self.smooth, self.program = plan, layout.written, smooth, plan.program
        self.absorbed = self._absorbed()  # by sum, the product of two numbers that is computed together with it
        self.order = self._nodes()
        self.reads = [self._reads(node) for node in self.order]
        self.last = {value: number for number, values in enumerate(self.reads) for value in values}  # to read it
        self.last |= {v: END for group in self.program.carried for v in group}

    def ahead(self) -> dict[int, tuple[int, Value]]:
        """Return the products that can add a row of the next step at once.

        Their result is a carry, all that the next step does with it is to add a row that is known before. By product,
        return the carry and the sum that it then is.
        """
        ahead = {}
        for index, group in enumerate(self.program.carried):
            carries = [v for v in self.plan.order if v.op is Op.CARRY and v.columns.source == index]
            users = self.plan.users[carries[0]] if len(carries) == 1 else []
            if len(group) > 1 or group[0].op is not Op.PRODUCT or len(users) != 1 or carries[0] in self.places:
                continue
            part, total, product = group[0], users[0], group[0].columns.source
            alone = self.plan.users[part] == [None] and part not in self.places
            whole = part.width == carries[0].width == self.program.products[product].width
            whole = whole and part.width > 1  # a view of one column may be read late
            if not alone or not whole or product in self.plan.addends:
                continue
            if total is None or total.op is not Op.ADD or total in self.places or total.width != part.width:
                continue
            row = total.args[0] if total.args[1] is carries[0] else total.args[1]
            moving = row in self.plan.early and row not in self.plan.time_invariant
            if moving and row.width == part.width and self.last.get(total, END) < self.order.index(Multiply(product)):
                ahead[product] = index, total
        return ahead

    def last_use(self, carry: int) -> int:
        """Return the last node that reads a carry as it was before the step."""

        def reads_it(value: Value) -> bool:
            return value.op is Op.CARRY and value.columns.source == carry

        if any(reads_it(value) for group in self.program.carried for value in group):
            return END  # what another carry becomes is read after all nodes
        found = -1
        for number, (node, values) in enumerate(zip(self.order, self.reads, strict=True)):
            value = node if isinstance(node, Value) else None
            if any(map(reads_it, values)) or (value and reads_it(value)):  # its own node copies it to its place
                found = END if value and value.op is Op.SPREAD else max(found, number)  # a view is read later
        return found

    def _absorbed(self) -> dict[Value, Value]:
        """Find sums with a product of two values that nothing else needs, which is computed with the sum."""
        found: dict[Value, Value] = {}
        late, users = self.plan.late, self.plan.users
        for value in self.plan.order:
            if value.op not in (Op.ADD, Op.SUB) or value not in late or value in self.plan.columns or value.width == 1:
                continue
            for factor in reversed(value.args if value.op is Op.ADD else value.args[1:]):
                alone = factor.op is Op.MUL and users[factor] == [value] and factor in late
                other = value.args[0] if factor is value.args[1] else value.args[1]
                operands = (*factor.args, other)
                if alone and other is not factor and all(v.width == value.width and not v.is_number for v in operands):
                    found[value] = factor
                    break
        return found

    def _nodes(self) -> list[Node]:
        nodes: list[Node] = []
        done: set[Value | int] = set(self.absorbed.values())
        for value in self.plan.order:
            if value not in self.plan.late or value in done:
                continue
            if value.op is not Op.PRODUCT and value not in self.plan.columns:
                nodes.append(value)
                continue
            index = value.columns.source if value.op is Op.PRODUCT else self.plan.columns[value].source
            if index not in done:
                done.add(index)
                activations = [Activate(tuple(run)) for run in self._activations(index)]
                nodes += [Multiply(index), *activations]
                done.update(value for node in activations for value in node.values)
        return nodes

    def _activations(self, index: int) -> list[list[Value]]:
        """Return the activations of a product's columns that one operator computes: all are results, or none is."""
        found: list[list[Value]] = []
        for run in self.plan.activations.get(index, []):
            parts: list[list[Value]] = []
            for value in run:
                before = self.places.get(parts[-1][-1]) if parts and parts[-1] else None
                if value.op is Op.TANH and not self.smooth:
                    parts.append([])
                elif parts and parts[-1] and adjacent(before, self.places.get(value)):
                    parts[-1].append(value)
                else:
                    parts.append([value])
            found += [part for part in parts if len(part) > 1]
        return found

    def _reads(self, node: Node) -> list[Value]:
        """Return the late values whose memory a node reads; those of a view are what it is a view of."""
        if isinstance(node, Multiply):
            arguments = list(self.program.products[node.product].operand)
        elif isinstance(node, Activate):
            arguments = [value.args[0] for value in node.values]
        else:
            arguments = list(node.args)
            if (factor := self.absorbed.get(node)) is not None:
                arguments.remove(factor)
                arguments += factor.args
        return [value for value in arguments if value in self.plan.late]


def adjacent(one: Place | None, two: Place | None) -> bool:
    """Return whether two places are side by side in a buffer, or there are none."""
    if one is None or two is None:
        return one is two
    return (one.buffer, one.start + one.width, one.shift) == (two.buffer, two.start, two.shift)
