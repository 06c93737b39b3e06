"""The portable executor: a program as a loop of torch operators, on any device and dtype, without a compiler.

Whatever does not hang on the carries is computed for all steps at once before the loop; in the backward pass these are
the local derivatives, so that the loop is left with multiply-adds and products. The loop itself is generated as plain
Python, one line an operator: no graph is interpreted and no autograd node recorded while it runs.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from seqmodels.fusion.program import Program
from seqmodels.fusion.values import POINTWISE, Builder, Product, Value, evaluate, walk
from seqmodels.sequence import length_mask


class Portable:
    """Runs programs with torch operators."""

    def prepare(self, programs: Sequence[Program], dtype: torch.dtype) -> None:
        """Do nothing: a program is ready when it is run."""

    def run(
        self,
        program: Program,
        streams: Sequence[Tensor],
        carries: Sequence[Tensor],
        vectors: Sequence[Tensor],
        weights: Sequence[Tensor],
        lengths: Tensor | None,
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Run a program over time.

        Args:
            streams: tensors ``(batch, time, width)``.
            carries: tensors ``(batch, width)`` before the first step (after the last, when the program runs backwards).
            vectors: tensors ``(width,)``.
            weights: matrices, as the program's products number them.
            lengths: ``(batch,)`` or None; a step past a row's length is skipped: outputs 0, carries stand still.

        Returns:
            The output streams ``(batch, time, width)``, the carries after the last step, the totals ``(width,)``.
        """
        code = _generate(program)
        real = None if lengths is None else length_mask(lengths.to(streams[0].device), streams[0].shape[1])
        if real is not None:  # what stands in the padding must not matter, not even as 0 * inf
            streams = [s.masked_fill(~real[..., None], 0) for s in streams]
        known: dict[Value, Any] = {}
        for leaf in code.leaves:
            source = streams if leaf.op == "stream" else vectors
            index, offset = leaf.data
            known[leaf] = source[index][..., offset : offset + leaf.width]
        early = [evaluate(value, known) for value in code.early]
        per_step = [e.unbind(1) if e.dim() == 3 else e for e in early]
        keep = None if real is None else real.unsqueeze(-1).unbind(1)
        time = streams[0].shape[1]
        steps = range(time - 1, -1, -1) if program.backwards else range(time)
        matrices = [weights[p.weight].t() if p.transposed else weights[p.weight] for p in code.products]
        written, carried = code.loop(steps, per_step, list(carries), matrices, keep, streams[0])
        if program.backwards:
            written = [rows[::-1] for rows in written]
        return self._collect(code, early, written, carried, real)

    def _collect(self, code: "_Code", early: list[Any], written: list[Any], carried: Any, real: Any) -> Any:
        """Put the rows of every step side by side in time, and add up those that are wanted as totals."""
        stacked = iter([torch.stack(list(rows), 1) for rows in written])
        late = {value: next(stacked) for value in code.late}
        shape = next(t.shape[:2] for t in [*late.values(), *early] if t.dim() == 3)
        at = {value: e if e.dim() == 3 else e.expand(*shape, -1) for value, e in zip(code.early, early, strict=True)}

        def join(group: tuple[Value, ...]) -> Tensor:
            whole = torch.cat([_full(late.get(v, at.get(v)), v, late, at) for v in group], -1)
            return whole if real is None else whole.masked_fill(~real[..., None], 0)

        return [join(g) for g in code.outputs], list(carried), [join(g).sum((0, 1)) for g in code.totals]


def _full(found: Tensor | None, value: Value, late: dict[Value, Tensor], at: dict[Value, Tensor]) -> Tensor:
    if found is None:  # a number
        like = next(iter([*late.values(), *at.values()]))
        return like.new_full((*like.shape[:2], value.width), value.data[0] if not value.args else value.args[0].data[0])
    return found.expand(*found.shape[:-1], value.width)


class _Code:
    """A program prepared for the loop."""

    products: tuple[Product, ...]
    leaves: list[Value]
    early: list[Value]  # what the streams alone decide, and the loop or the outputs need
    late: list[Value]  # what the loop writes at every step
    outputs: tuple[tuple[Value, ...], ...]
    totals: tuple[tuple[Value, ...], ...]
    loop: Callable[..., tuple[list[Any], Any]]


@lru_cache(maxsize=256)
def _generate(program: Program) -> _Code:
    """Sort a program's values into early and late ones, and write the loop over the late ones."""
    program = _reassociate(program)
    order = program.values()
    products = list(program.products)
    late: set[Value] = set()
    for value in order:
        inner = products[value.data[0]].operand if value.op == "product" else value.args
        if value.op in ("carry", "product") or any(argument in late for argument in inner):
            late.add(value)
    code = _Code()
    code.products = program.products
    needed = {v for value in order if value in late for v in _inner(value, products) if v not in late}
    wanted = {v for group in (*program.outputs, *program.totals) for v in group}
    carried = {v for group in program.carried for v in group}
    early = [v for v in order if v in needed | carried | wanted and v not in late]
    code.early = [v for v in early if not _number(v)]
    code.late = [v for v in order if v in wanted and v in late]
    code.leaves = [v for v in walk(code.early, products) if v.op in ("stream", "vector")]
    code.outputs, code.totals = program.outputs, program.totals
    code.loop = _compile(program, order, late, code)
    return code


def _inner(value: Value, products: list[Any]) -> Sequence[Value]:
    return products[value.data[0]].operand if value.op == "product" else value.args


def _number(value: Value) -> bool:
    return value.op == "scalar" or (value.op == "spread" and value.args[0].op == "scalar")


def _compile(program: Program, order: list[Value], late: set[Value], code: _Code) -> Callable[..., Any]:
    """Write the loop as Python and compile it."""
    names: dict[Value, str] = {v: f"e{i}_t" for i, v in enumerate(code.early)}
    still = {v for v in code.early if all(leaf.op != "stream" for leaf in walk([v], list(program.products)))}
    head = ["def loop(steps, early, carries, weights, keep, like):"]
    lines: list[str] = ["    for t in steps:"]
    emit = lines.append

    def wide(value: Value) -> str:
        """Return a name for rows ``(batch, width)`` of a value, also where it is a number or the same for all rows."""
        if _number(value):
            number = value.data[0] if value.op == "scalar" else value.args[0].data[0]
            head.append(f"    k{len(head)} = like.new_full((like.shape[0], {value.width}), {number!r})")
            return f"k{len(head) - 1}"
        return f"{names[value]}.expand(like.shape[0], -1)" if value in still else names[value]

    for i, v in enumerate(code.early):
        head.append(f"    e{i} = early[{i}]")
        emit(f"        e{i}_t = e{i}" if v in still else f"        e{i}_t = e{i}[t]")
    head += [f"    c{i} = carries[{i}]" for i in range(len(program.carries))]
    head += [f"    o{i} = []; w{i} = o{i}.append" for i in range(len(code.late))]
    made: set[int] = set()
    for value in (v for v in order if v in late):
        names[value] = f"v{len(names)}"
        emit(f"        {names[value]} = {_line(value, program, names, wide, made, lines)}")
    for i, value in enumerate(code.late):
        emit(f"        w{i}({names[value]})")
    for i, group in enumerate(program.carried):
        emit(f"        n{i} = {_joined([wide(v) for v in group])}")
    carries = range(len(program.carries))
    emit("        if keep is None:")
    lines += [f"            c{i} = n{i}" for i in carries]
    emit("        else:" if program.carries else "            pass")
    lines += [f"            c{i} = where(keep[t], n{i}, c{i})" for i in carries]
    emit(f"    return [{', '.join(f'o{i}' for i in range(len(code.late)))}], [{', '.join(f'c{i}' for i in carries)}]")
    scope: dict[str, Any] = {**POINTWISE, "cat": torch.cat, "mm": torch.mm, "addmm": torch.addmm, "clamp": torch.clamp}
    exec("\n".join([*head, *lines]), scope)  # noqa: S102 - the text is generated above
    return scope["loop"]  # type: ignore[no-any-return]


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"cat([{', '.join(parts)}], -1)"


def _line(  # noqa: PLR0917
    value: Value,
    program: Program,
    names: dict[Value, str],
    wide: Callable[[Value], str],
    made: set[int],
    lines: list[str],
) -> str:
    """Return the expression that computes a late value from those before it."""
    if value.op == "carry":
        index, offset = value.data
        whole = offset == 0 and value.width == program.carries[index]
        return f"c{index}" if whole else f"c{index}[:, {offset}:{offset + value.width}]"
    if value.op == "product":
        index, offset = value.data
        product = program.products[index]
        if index not in made:
            made.add(index)
            operand = _joined([wide(piece) for piece in product.operand])
            lines.append(f"        p{index} = mm({operand}, weights[{index}])")
        whole = offset == 0 and value.width == product.width
        return f"p{index}" if whole else f"p{index}[:, {offset}:{offset + value.width}]"
    arguments = [repr(a.data[0]) if a.op == "scalar" else names[a] for a in value.args]
    if value.op == "sum":
        return f"{arguments[0]}.sum(-1, keepdim=True)"
    if value.op == "spread":
        return f"{arguments[0]}.expand(-1, {value.width})"
    if value.op in ("add", "sub", "mul", "div", "gt", "ge", "lt", "le", "eq", "ne"):
        sign = {"add": "+", "sub": "-", "mul": "*", "div": "/", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
        return f"{arguments[0]} {(sign | {'eq': '==', 'ne': '!='})[value.op]} {arguments[1]}"
    if value.op in ("maximum", "minimum") and any(a.op == "scalar" for a in value.args):
        tensor, number = arguments if value.args[1].op == "scalar" else reversed(arguments)
        return f"clamp({tensor}, {'min' if value.op == 'maximum' else 'max'}={number})"
    if value.op in ("and", "or", "not"):
        return f"{arguments[0]} {'&' if value.op == 'and' else '|'} {arguments[1]}" if value.op != "not" else f"~{arguments[0]}"
    return f"{value.op}({', '.join(arguments)})"


def _reassociate(program: Program) -> Program:
    """Write (late * early) * early as late * (early * early): one operator less in the loop, the rest in bulk."""
    fresh, known = Builder(), {}
    products = list(program.products)
    hangs: dict[Value, bool] = {}
    for value in program.values():
        inner = _inner(value, products)
        hangs[value] = value.op in ("carry", "product") or any(hangs[v] for v in inner)

    def factors(value: Value) -> tuple[list[Value], list[Value]]:
        if value.op != "mul" or not hangs[value]:
            return ([value], []) if hangs[value] else ([], [value])
        (late_a, early_a), (late_b, early_b) = factors(value.args[0]), factors(value.args[1])
        return late_a + late_b, early_a + early_b

    def move(value: Value) -> Value:
        if value not in known:
            known[value] = _move(value)
        return known[value]

    def _move(value: Value) -> Value:
        if value.op == "product":
            old = products[value.data[0]]
            whole = fresh.product([move(piece) for piece in old.operand], old.weight, old.transposed, old.width)
            return fresh.cut(whole, value.data[1], value.width)
        if value.op == "mul" and hangs[value]:
            late, early = factors(value)
            if len(late) == 1 and len(early) > 1:
                factor = move(early[0])
                for other in early[1:]:
                    factor = fresh.apply("mul", factor, move(other))
                return fresh.apply("mul", move(late[0]), factor)
        return fresh.copy(value, tuple(move(argument) for argument in value.args))

    groups = [tuple(tuple(move(v) for v in g) for g in kind) for kind in (program.outputs, program.carried, program.totals)]
    return Program(
        program.streams, program.carries, program.vectors, tuple(fresh.products), *groups, backwards=program.backwards
    )
