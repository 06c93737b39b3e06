"""Programs drawn at random, and every kind of value in every place, through both executors against an interpreter."""

from collections.abc import Callable

import pytest

from seqmodels.fusion.plan import Executor
from seqmodels.fusion.program import Program, width
from seqmodels.fusion.values import Builder, Value
from tests.fusion.interpreter import LENGTHS, assert_runs, inputs_for
from tests.fusion.running import EXECUTORS

WIDTHS = (1, 2, 5, 19)  # one, parts of a vector, several vectors and a part
WIDE = 23


def program_of(
    build: Builder,
    outputs: list[tuple[Value, ...]],
    carried: list[tuple[Value, ...]],
    totals: list[tuple[Value, ...]],
    *,
    vectors: tuple[int, ...] = (WIDE,),
    streams: tuple[int, ...] = (WIDE, WIDE),
    backwards: bool = False,
) -> Program:
    products, kinds = tuple(build.products), map(tuple, (outputs, carried, totals))
    return Program(streams, tuple(map(width, carried)), vectors, products, *kinds, backwards=backwards)


KINDS: dict[str, Callable[[Builder, int], Value]] = {
    "number": lambda b, n: b.spread(b.scalar(0.5), n),
    "vector": lambda b, n: b.leaf("vector", 0, 1, n),
    "stream": lambda b, n: b.leaf("stream", 0, 2, n),
    "carry": lambda b, n: b.leaf("carry", 0, 3, n),
    "of a stream": lambda b, n: b.apply("tanh", b.leaf("stream", 0, 0, n)),
    "of a vector": lambda b, n: b.apply("exp", b.leaf("vector", 0, 0, n)),
    "of a carry": lambda b, n: b.apply("sin", b.leaf("carry", 0, 0, n)),
    "product": lambda b, n: b.product([b.leaf("carry", 0, 0, 4)], n, False, n),
    "part of a product": lambda b, n: b.cut(b.product([b.leaf("carry", 0, 1, 4)], WIDE, True, WIDE), 3, n),
    "sum with a product": lambda b, n: b.apply("add", KINDS["product"](b, n), KINDS["stream"](b, n)),
    "selected": lambda b, n: b.select(
        [b.leaf("carry", 0, 0, 7), b.leaf("stream", 0, 0, 9)], [12, -1, 0, *range(n)][:n]
    ),
    "spread sum": lambda b, n: b.spread(b.reduce("sum", b.leaf("carry", 0, 0, 7)), n),
    "spread column of a stream": lambda b, n: b.spread(b.leaf("stream", 0, 4, 1), n),
    "spread column of a carry": lambda b, n: b.spread(b.leaf("carry", 0, 4, 1), n),
    "chosen": lambda b, n: b.apply(
        "where", b.apply("gt", KINDS["carry"](b, n), KINDS["stream"](b, n)), b.scalar(2), b.scalar(3)
    ),
}
WEIGHTS = [(4, max(n, 1)) for n in range(WIDE)] + [(WIDE, 4)]


def everywhere(kind: str, size: int, backwards: bool) -> Program:
    """Put a value to every use that a program has for one."""
    b = Builder()
    value = KINDS[kind](b, size)
    state, one = b.leaf("carry", 0, 0, WIDE), b.leaf("stream", 1, 0, 3)
    weights = len(WEIGHTS)
    alone = b.product([value], weights + size, False, WIDE)
    among = b.product([one, value, b.leaf("carry", 0, 2, 5)], weights + WIDE + size, True, 6)
    moved = b.select([one, value], [size + 2, -1, *range(size + 2, -1, -1)])
    new = b.apply("tanh", b.apply("add", alone, b.leaf("stream", 0, 0, WIDE)))
    outputs = [(new,), (value,), (value, one), (among,), (moved,), (state,), (value,)]
    carried = [(new,), (value,), (one, value)]
    b.apply("add", b.leaf("carry", 1, 0, size), state)
    outputs.append((b.leaf("carry", 1, 0, size), b.leaf("carry", 2, 1, size)))
    return program_of(b, outputs, carried, [(value,), (value, one, new)], backwards=backwards)


ALL_WEIGHTS = [*WEIGHTS, *((n, WIDE) for n in range(WIDE)), *((6, n + 8) for n in range(WIDE))]


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_value_in_every_place(executor: Executor, kind: str, size: int, backwards: bool) -> None:
    program = everywhere(kind, size, backwards)
    given = inputs_for(program, ALL_WEIGHTS)
    assert_runs(executor, program, given, None)
    assert_runs(executor, program, given, LENGTHS)
