"""What a program means: an interpreter that executors are compared with."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from seqmodels.fusion.executor import Arguments, Executor, Results
from seqmodels.fusion.ops import POINTWISE, REDUCTIONS, Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Selection, Value, width

BATCH, TIME = 8, 7  # more rows than a tile has
LENGTHS = torch.tensor([3, 7, 0, 1, 7, 5, 2, 6])
RESETS = torch.tensor([[(row * t + t // 2) % 3 == 1 for t in range(TIME)] for row in range(BATCH)])


def inputs_for(program: Program, weights: Sequence[tuple[int, int]], seed: int = 0) -> Arguments:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return Arguments(
        [draw(BATCH, TIME, size) for size in program.streams],
        [draw(BATCH, size) for size in program.carries],
        [draw(size) for size in program.vectors],
        [draw(*shape) / max(shape) ** 0.5 for shape in weights],
    )


def with_resets(program: Program, given: Arguments) -> Arguments:
    """Return arguments with resets and, for a forward program, the state that rows go back to."""
    restart = [] if program.backwards else [carry.flip(0) for carry in given.carries]
    return given._replace(resets=RESETS, restart=restart)


def interpreted(program: Program, given: Arguments) -> Results:
    """Run a program value by value and step by step."""
    carries, lengths = list(given.carries), given.lengths
    handed = [torch.zeros_like(carry) for carry in carries]
    outputs = [torch.zeros(BATCH, TIME, width(group), dtype=torch.float64) for group in program.outputs]
    totals = [torch.zeros(width(group), dtype=torch.float64) for group in program.totals]
    for t in reversed(range(TIME)) if program.backwards else range(TIME):
        active = torch.ones(BATCH, 1, dtype=torch.bool) if lengths is None else (t < lengths).unsqueeze(-1)
        begins = torch.zeros_like(active) if given.resets is None else given.resets[:, t, None] & active
        if given.restart:
            carries = [torch.where(begins, *pair) for pair in zip(given.restart, carries, strict=True)]
        leaves = {Op.STREAM: [s[:, t] for s in given.streams], Op.CARRY: carries, Op.VECTOR: given.vectors}
        known: dict[Value, Tensor] = {}
        for value in program.values():
            known[value] = _computed(value, program, leaves, known, given.weights)
        for output, group in zip(outputs, program.outputs, strict=True):
            output[:, t] = torch.where(active, _row(group, known), 0)
        for total, group in zip(totals, program.totals, strict=True):
            total.add_(torch.where(active, _row(group, known), 0).sum(0))
        new = [_row(group, known) for group in program.carried]
        carries = [torch.where(active, after, before) for after, before in zip(new, carries, strict=True)]
        if program.backwards:
            handed = [total.add(torch.where(begins, c, 0)) for total, c in zip(handed, carries, strict=True)]
            carries = [torch.where(begins, 0, c) for c in carries]
    return Results(outputs, carries, totals, handed if program.backwards and given.resets is not None else [])


def _row(group: Sequence[Value], known: dict[Value, Tensor]) -> Tensor:
    return torch.cat([known[value].expand(BATCH, value.width) for value in group], -1)


def _computed(
    value: Value,
    program: Program,
    leaves: dict[Op, Sequence[Tensor]],
    known: dict[Value, Tensor],
    weights: Sequence[Tensor],
) -> Tensor:
    if value.op is Op.PRODUCT:
        product = program.products[value.columns.source]
        operand = _row(product.operand, known)
        if isinstance(product, Selection):
            columns = [operand[:, i] if i >= 0 else torch.zeros(BATCH).double() for i in product.columns]
            whole = torch.stack(columns, -1)
        else:
            weight = weights[product.weight]
            whole = operand @ (weight.t() if product.transposed else weight)
        return whole[:, value.columns.start : value.columns.start + value.width]
    if value.op in leaves:
        index, start = value.columns
        return leaves[value.op][index][..., start : start + value.width].expand(BATCH, -1)
    if value.op is Op.SCALAR:
        return torch.full((BATCH, 1), value.number, dtype=torch.float64)
    if value.op in REDUCTIONS:
        return REDUCTIONS[value.op](known[value.args[0]], dim=-1, keepdim=True)
    if value.op is Op.SPREAD:
        return known[value.args[0]].expand(BATCH, value.width)
    return POINTWISE[value.op](*(known[argument] for argument in value.args))


def assert_runs(executor: Executor, program: Program, given: Arguments, *, within: float = 1e-9) -> None:
    """Compare what an executor makes of a program with what it means."""
    tensors = [*given.streams, *given.carries, *given.vectors, *given.weights, *given.restart]
    lengths = given.lengths
    before = [tensor.clone() for tensor in tensors]
    found = executor.run(program, given)
    wanted = interpreted(program, given)
    for tensor, original in zip(tensors, before, strict=True):
        torch.testing.assert_close(tensor, original, rtol=0, atol=0, equal_nan=True, msg="an input was written to")
    shared = set() if lengths is None else set(program.shifted().values())  # past a row's end, nobody reads these
    real = None if lengths is None else torch.arange(TIME) < lengths.unsqueeze(-1)
    for kind, mine, meant in zip(("output", "carry", "total", "restart"), found, wanted, strict=True):
        for index, pair in enumerate(zip(mine, meant, strict=True)):
            one, other = (t[real] for t in pair) if kind == "output" and index in shared else pair
            differ = partial("{} {}: {}".format, kind, index)
            torch.testing.assert_close(one, other, rtol=within, atol=within / 10, equal_nan=True, msg=differ)
