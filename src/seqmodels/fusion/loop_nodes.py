"""What the loop of the portable executor computes, in order: which values one operator computes together."""

from typing import Any

from seqmodels.fusion.loop import Place, Sorted, is_number
from seqmodels.fusion.values import Value


class Nodes:
    """The nodes of a sorted program: values, ("product", index), and ("run", values) for joined activations.

    ``absorbed`` are the products of two values that are computed with a sum, by the sum; ``reads`` the late values
    that each node reads. ``smooth`` lets tanhs be computed as sigmoids.
    """

    def __init__(self, found: Sorted, smooth: bool) -> None:
        self.found, self.smooth, self.program = found, smooth, found.program
        self.absorbed = self._absorbed()
        self.order = self._nodes()
        self.reads = [self._reads(node) for node in self.order]

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
