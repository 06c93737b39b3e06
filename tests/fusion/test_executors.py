"""Programs drawn at random, and every kind of value in every place, through both executors against an interpreter."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from seqmodels.fusion.cpp.emit import source
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.ops import Op
from seqmodels.fusion.portable import executor as portable
from seqmodels.fusion.portable.bulk import evaluate
from seqmodels.fusion.portable.executor import Loop, Portable
from seqmodels.fusion.program import Program, Rewriter
from seqmodels.fusion.values import Value, walk, width
from tests.fusion.interpreter import LENGTHS, assert_runs, inputs_for, with_resets
from tests.fusion.random_programs import WIDE, Draft, Drawn, Group, carry, stream
from tests.fusion.running import EXECUTORS

WIDTHS = (1, 2, 5, 19)  # one, parts of a vector, several vectors and a part


def check(executor: Executor, draft: Draft, program: Program, seed: int = 0) -> None:
    given = inputs_for(program, draft.weights, seed)
    assert_runs(executor, program, given)
    assert_runs(executor, program, given._replace(lengths=LENGTHS))
    assert_runs(executor, program, with_resets(program, given))
    assert_runs(executor, program, with_resets(program, given._replace(lengths=LENGTHS)))


KINDS: dict[str, Callable[[Draft, int], Value]] = {
    "number": lambda b, n: b.spread(b.scalar(0.5), n),
    "vector": lambda b, n: b.leaf(Op.VECTOR, 0, 1, n),
    "stream": lambda b, n: stream(b, n, 2),
    "carry": lambda b, n: carry(b, n, 3),
    "of a stream": lambda b, n: b.apply(Op.TANH, stream(b, n)),
    "of a vector": lambda b, n: b.apply(Op.EXP, b.leaf(Op.VECTOR, 0, 0, n)),
    "of a carry": lambda b, n: b.apply(Op.SIN, carry(b, n)),
    "product": lambda b, n: b.times([carry(b, 4)], n),
    "part of a product": lambda b, n: b.cut(b.times([carry(b, 4, 1)], WIDE, transposed=True), 3, n),
    "sum with a product": lambda b, n: b.apply(Op.ADD, b.times([carry(b, 4)], n), stream(b, n)),
    "selected": lambda b, n: b.select([carry(b, 7), stream(b, 9)], [12, -1, 0, *range(n)][:n]),
    "part of a selected": lambda b, n: b.cut(b.select([carry(b, WIDE)], [-1, *range(WIDE - 1, 0, -1)]), 1, n),
    "sum": lambda b, n: b.spread(b.reduce(Op.SUM, carry(b, 7)), n),
    "largest": lambda b, n: b.spread(b.reduce(Op.AMAX, stream(b, 7)), n),
    "smallest": lambda b, n: b.spread(b.reduce(Op.AMIN, b.apply(Op.SIN, carry(b, 9))), n),
    "column of a stream": lambda b, n: b.spread(stream(b, 1, 4), n),
    "column of a carry": lambda b, n: b.spread(carry(b, 1, 4), n),
    "chosen": lambda b, n: b.apply(Op.WHERE, b.apply(Op.GT, carry(b, n), stream(b, n)), b.scalar(2), b.scalar(3)),
    "chosen by a number a row": lambda b, n: b.apply(
        Op.WHERE, b.apply(Op.XOR, b.apply(Op.GT, carry(b, 1), stream(b, 1)), b.scalar(1)), carry(b, n, 1), b.scalar(3)
    ),
}


def everywhere(b: Draft, value: Value) -> tuple[list[Group], list[Group], list[Group]]:
    """Put a value to every use that a program has for one; the state is the first carry."""
    size, one = value.width, b.leaf(Op.STREAM, 1, 0, 3)
    alone = b.times([value], WIDE)
    among = b.times([one, value, carry(b, 5, 2)], 6, transposed=True)
    moved = b.select([one, value], [size + 2, -1, *range(size + 2, -1, -1)])
    new = b.apply(Op.TANH, b.apply(Op.ADD, alone, stream(b, WIDE)))
    before = (b.leaf(Op.CARRY, 1, 0, size), b.leaf(Op.CARRY, 2, 1, size))
    outputs = [(new,), (value,), (value, one), (among,), (moved,), (carry(b, WIDE),), (value,), before]
    return outputs, [(new,), (value,), (one, value)], [(value,), (value, one, new)]


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_value_in_every_place(kind: str, size: int) -> None:
    for backwards in (False, True):
        draft = Draft()
        program = draft.program(*everywhere(draft, KINDS[kind](draft, size)), backwards=backwards)
        check(Portable(), draft, program)


PLACES = ("output", "carry", "total", "operand", "selected")


def side_by_side(place: str) -> tuple[Draft, tuple[Program, Program]]:
    """Put values of all kinds and widths to one use, in a program of each direction."""
    b = Draft()
    values = tuple(KINDS[kind](b, size) for size in WIDTHS for kind in KINDS)
    number = b.times(values, 3) if place == "operand" else b.select(values, [*range(width(values)), -1][::-2])
    state = (b.apply(Op.TANH, b.apply(Op.ADD, b.times([carry(b, WIDE)], WIDE), stream(b, WIDE))),)
    groups: dict[str, tuple[list[Group], list[Group], list[Group]]] = {
        "output": ([state, values], [state], []),
        "carry": ([state, (b.leaf(Op.CARRY, 1, 3, width(values) - 5),)], [state, values], []),
        "total": ([state], [state], [values]),
    }
    given = groups.get(place, ([(number,)], [state], []))
    return b, (b.program(*given), b.program(*given, backwards=True))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_values_of_all_kinds_side_by_side(executor: Executor, place: str) -> None:
    draft, programs = side_by_side(place)
    for program in programs:
        check(executor, draft, program)


def _loop(chosen: bool, program: Program, *, smooth: bool, **options: bool) -> Loop:
    """Return a loop with tanh by way of the sigmoid or not, as the test chooses."""
    del smooth
    return Loop(program, smooth=chosen, **options)


@pytest.mark.long
@pytest.mark.parametrize("executor", EXECUTORS)
def test_programs_drawn_at_random(monkeypatch: pytest.MonkeyPatch, executor: Executor) -> None:
    monkeypatch.setattr(portable, "CHUNK", 1)  # chunks of eight steps
    for seed in range(200 if isinstance(executor, Portable) else 12):
        monkeypatch.setattr(portable, "loop_of", partial(_loop, seed % 2 == 0))
        drawn = Drawn(seed)
        program = drawn.whole()
        try:
            check(executor, drawn, program, seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("executor", EXECUTORS)
def test_moved_columns_are_what_they_were_and_others_do_not_leak(executor: Executor) -> None:
    b = Draft()
    state, x = b.leaf(Op.CARRY, 0, 0, 5), b.leaf(Op.STREAM, 0, 0, WIDE)
    moved = b.select([x, state], [WIDE + 4, -1, 3, 3, 0, WIDE, -1, 7])
    program = b.program([(moved,), (b.apply(Op.NEG, b.cut(moved, 1, 3)),)], [(state,)])
    given = inputs_for(program, [])
    given.streams[0][:, :, 3], given.streams[0][:, :, 1] = math.inf, math.nan
    given.carries[0][:, 2], given.carries[0][:, 0] = math.nan, -0.0
    (found, negated), *_ = executor.run(program, given)
    state_column, x_three, x_zero = given.carries[0][:, 4:], given.streams[0][:, :, 3], given.streams[0][:, :, 0]
    for place, column in ((0, state_column), (2, x_three), (4, x_zero)):
        assert torch.equal(found[:, :, place], column.expand(found.shape[:2]))
    assert bool((found[:, :, [1, 6]] == 0).all() and (found[:, :, 5].signbit()).all() and not found.isnan().any())
    assert torch.equal(negated, -found[:, :, 1:4])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_reductions_of_what_is_no_number(executor: Executor) -> None:
    b = Draft()
    leaves = [stream(b, size, 2) for size in WIDTHS]
    late = [b.apply(Op.MUL, leaf, carry(b, 1)) for leaf in leaves]
    values = [b.reduce(op, value) for op in (Op.SUM, Op.AMAX, Op.AMIN) for value in (*leaves, *late)]
    program = b.program([tuple(values)], [(carry(b, 1),)])
    given = inputs_for(program, [])
    special = (math.nan, math.inf, -math.inf)
    for i, number in enumerate((*special, *special)):
        given.streams[0][i, :, 2 + 3 * (i // 3)] = number
        given.streams[0][i, ::2, 3 + i] = special[(i + 1) % 3]
    given.carries[0].fill_(1)
    assert_runs(executor, program, given)


@pytest.mark.parametrize("kind", ["late", "early", "factors"])
def test_chains_of_thousands_of_values(kind: str) -> None:
    length = 5_000
    b = Draft()
    value = carry(b, 2) if kind == "late" else stream(b, 2)
    for i in range(length):
        value = b.apply(Op.MUL if kind == "factors" or i % 2 else Op.ADD, value, b.leaf(Op.VECTOR, 0, i % 9, 2))
    state = b.apply(Op.MUL, value, carry(b, 2))
    value = b.apply(Op.ADD, b.times([state], 2), b.cut(value, 0, 1))
    program = b.program([(value,)], [(state,)])
    assert len(program.values()) > length
    assert len(repr(program)) < 10_000
    assert isinstance(hash(program), int)
    rewriter = Rewriter(program.products, lambda _, value: None)
    moved = rewriter.groups(program.outputs)
    assert len(walk(moved[0], rewriter.builder.products)) > length
    assert len(source(program, "float")) > length
    given = inputs_for(program, b.weights)
    given.vectors[0].fill_(0.999)
    assert_runs(Portable(), program, given)
    leaves = {leaf: torch.ones(3, leaf.width) for leaf in walk([state], []) if not leaf.args}
    assert evaluate(state, leaves).shape == (3, 2)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_state_that_is_handed_on_under_another_name(executor: Executor) -> None:
    b = Draft()
    delayed, rotated = [b.leaf(Op.CARRY, i, 0, 5) for i in range(2)], [b.leaf(Op.CARRY, i, 0, 5) for i in range(2, 5)]
    new = b.apply(Op.TANH, b.apply(Op.ADD, b.times([delayed[0], rotated[0]], 5), stream(b, 5)))
    carried = [delayed[1], b.times([new], 5), rotated[1], rotated[2], b.apply(Op.SUB, rotated[0], new)]
    outputs = [(new,), (delayed[0],), (rotated[2],)]
    for backwards in (False, True):
        check(executor, b, b.program(outputs, [(value,) for value in carried], backwards=backwards))
