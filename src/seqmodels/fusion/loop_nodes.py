"""What the loop of the portable executor computes, in order: which values one operator computes together."""

from typing import Any

from seqmodels.fusion.loop import Place, Sorted
from seqmodels.fusion.values import Value, is_number

END = 1 << 30
"""In the place of a node: after the step."""


class Nodes:
    """The nodes of a sorted program: values, ("product", index), and ("run", values) for joined activations.

    ``absorbed`` are the products of two values that are computed with a sum, by the sum; ``reads`` the late values
    that each node reads, and ``last`` the last node that reads a value. ``smooth`` lets tanhs be computed as sigmoids.
    """

    def __init__(self, found: Sorted, smooth: bool) -> None:
        self.found, self.smooth, self.program = found, smooth, found.program
        self.absorbed = self._absorbed()
        self.order = self._nodes()
        self.reads = [self._reads(node) for node in self.order]
        self.last = {value: place for place, values in enumerate(self.reads) for value in values}
        self.last |= {v: END for group in self.program.carried for v in group}

    def ahead(self) -> dict[int, tuple[int, Value]]:
        """Find products whose result is carried and does nothing in the next step but meet a row that is known before.

        Such a product adds the next step's row at once. Return, by product, the carry and the sum that it then is.
        """
        ahead = {}
        for index, group in enumerate(self.program.carried):
            carries = [v for v in self.found.order if v.op == "carry" and v.data[0] == index]
            users = self.found.users[carries[0]] if len(carries) == 1 else []
            if len(group) > 1 or group[0].op != "product" or len(users) != 1 or carries[0] in self.found.places:
                continue
            part, total, product = group[0], users[0], group[0].data[0]
            alone = self.found.users[part] == [None] and part not in self.found.places
            whole = part.width == carries[0].width == self.program.products[product].width
            whole = whole and part.width > 1  # a view of one column may be read late
            if not alone or not whole or product in self.found.added:
                continue
            if total is None or total.op != "add" or total in self.found.places or total.width != part.width:
                continue
            row = total.args[0] if total.args[1] is carries[0] else total.args[1]
            read_before = self.last.get(total, END) < self.order.index(("product", product))
            if row in self.found.early and row not in self.found.still and row.width == part.width and read_before:
                ahead[product] = index, total
        return ahead

    def last_use(self, carry: int) -> int:
        """Return the last node that reads a carry as it was before the step."""

        def meant(value: Value) -> bool:
            return value.op == "carry" and value.data[0] == carry

        if any(meant(value) for group in self.program.carried for value in group):
            return END  # what another carry becomes is read after all nodes
        found = -1
        for at, (node, values) in enumerate(zip(self.order, self.reads, strict=True)):
            single = isinstance(node, Value)
            if any(map(meant, values)) or (single and meant(node)):  # its own node copies it where it is wanted
                found = END if single and node.op == "spread" else max(found, at)  # a view is read later
        return found

    def _absorbed(self) -> dict[Value, Value]:
        """Find sums with a product of two values that nothing else needs, which is computed with the sum."""
        found: dict[Value, Value] = {}
        for value in self.found.order:
            if value.op not in ("add", "sub") or value not in self.found.late or value in self.found.column:
                continue
            if value.width == 1:
                continue
            for factor in reversed(value.args if value.op == "add" else value.args[1:]):
                alone = factor.op == "mul" and self.found.users[factor] == [value] and factor in self.found.late
                other = value.args[0] if factor is value.args[1] else value.args[1]
                operands = (*factor.args, other)
                if alone and other is not factor and all(v.width == value.width and not is_number(v) for v in operands):
                    found[value] = factor
                    break
        return found

    def _nodes(self) -> list[Any]:
        """Return what is computed, in order."""
        nodes: list[Any] = []
        done: set[Any] = set(self.absorbed.values())
        for value in self.found.order:
            if value not in self.found.late or value in done:
                continue
            if value.op == "product" or value in self.found.column:
                index = value.data[0] if value.op == "product" else self.found.column[value][0]
                if index in done:
                    continue
                done.add(index)
                nodes.append(("product", index))
                for run in self._whole_runs(index):
                    nodes.append(("run", tuple(run)))
                    done |= set(run)
            else:
                nodes.append(value)
        return nodes

    def _whole_runs(self, index: int) -> list[list[Value]]:
        """Return the activations of a product's columns that one operator computes: all to be kept, or none."""
        found = []
        for run in self.found.runs.get(index, []):
            parts: list[list[Value]] = []
            for value in run:
                place = self.found.places.get(value)
                fits = value.op == "sigmoid" or self.smooth
                before = self.found.places.get(parts[-1][-1]) if parts and parts[-1] else None
                if not fits:
                    parts.append([])
                elif parts and parts[-1] and adjacent(before, place):
                    parts[-1].append(value)
                else:
                    parts.append([value])
            found += [part for part in parts if len(part) > 1]
        return found

    def _reads(self, node: Any) -> list[Value]:
        """Return the late values whose memory a node reads; those of a view are what it is a view of."""
        if isinstance(node, Value):
            arguments = list(node.args)
            if (factor := self.absorbed.get(node)) is not None:
                arguments.remove(factor)
                arguments += factor.args
        elif node[0] == "product":
            arguments = list(self.program.products[node[1]].operand)
        else:
            arguments = [value.args[0] for value in node[1]]
        return [value for value in arguments if value in self.found.late]


def adjacent(one: Place | None, two: Place | None) -> bool:
    """Say whether two places are side by side in a buffer, or there are none."""
    if one is None or two is None:
        return one is two
    return (one.buffer, one.start + one.width, one.shift) == (two.buffer, two.start, two.shift)
