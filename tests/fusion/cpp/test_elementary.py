"""Elementary functions of compiled kernels, against the same in a wider format: a few units in the last place."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from seqmodels.fusion.builder import Builder
from seqmodels.fusion.cpp.executor import Cpp
from seqmodels.fusion.executor import Arguments, Executor
from seqmodels.fusion.ops import COMPARISONS, LOGICAL, POINTWISE, TRUTHS, Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Value
from tests.fusion.running import EXECUTORS, needs_compiler

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(
        x < 0, np.exp(np.minimum(x, 0)) / (1 + np.exp(np.minimum(x, 0))), 1 / (1 + np.exp(-x))
    ),
}
LOGARITHMS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "log": (np.log, 0.0),
    "log1p": (np.log1p, -1.0),  # defined above this number
}
FUNCTIONS |= {name: function for name, (function, _) in LOGARITHMS.items()}
WIDER = {torch.float32: np.float64, torch.float64: np.longdouble}
WIDTH = 37
ULPS = 4

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="longdouble is no wider than double here"),
]


def computed(x: Tensor) -> dict[str, Tensor]:
    """Return every function of ``x``, by one compiled program."""
    build = Builder()
    leaf = build.leaf(Op.STREAM, 0, 0, WIDTH)
    outputs = tuple((build.apply(Op(name), leaf),) for name in FUNCTIONS)
    rows = torch.nn.functional.pad(x, (0, -len(x) % WIDTH)).view(1, -1, WIDTH)
    results, *_ = Cpp().run(Program((WIDTH,), (), (), (), outputs, ()), Arguments([rows], [], [], []))
    return {name: result.flatten()[: len(x)] for name, result in zip(FUNCTIONS, results, strict=True)}


def error_in_ulps(name: str, x: Tensor, y: Tensor) -> Tensor:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        exact = FUNCTIONS[name](x.numpy().astype(WIDER[x.dtype]))
        rounded = exact.astype(y.numpy().dtype)
    unit = np.maximum(np.spacing(np.abs(rounded)), np.finfo(rounded.dtype).tiny)  # kernels flush denormals to 0
    return torch.from_numpy((np.abs(y.numpy().astype(exact.dtype) - exact) / unit).astype(np.float64))


def samples(dtype: torch.dtype) -> Tensor:
    """Points of every size and sign, dense where the functions bend and where they overflow."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.randn(40000, generator=generator, dtype=torch.float64)
    low, high = {torch.float32: (-40, 4), torch.float64: (-300, 8)}[dtype]
    logarithmic = 2.0 ** torch.linspace(low, high, 20000, dtype=torch.float64)
    inner = {torch.float32: 87.3, torch.float64: 708.3}[dtype]  # beyond, exp(-x) is a denormal number
    x = torch.cat([spread, 10 * spread, logarithmic, -logarithmic, torch.linspace(-inner, inner, 5000)])
    return x[x.abs() <= inner].to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_are_accurate_to_a_few_units_in_the_last_place(name: str, dtype: torch.dtype) -> None:
    x = samples(dtype)
    x = x[x > LOGARITHMS[name][1]] if name in LOGARITHMS else x
    error = error_in_ulps(name, x, computed(x)[name])
    worst = int(error.argmax())
    assert error[worst] <= ULPS, f"{name}({x[worst].item()!r}) is {error[worst]:.1f} units off"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["exp", "expm1"])
def test_functions_are_accurate_up_to_the_overflow(name: str, dtype: torch.dtype) -> None:
    x = torch.linspace(*{torch.float32: (87.3, 88.72), torch.float64: (708.3, 709.78)}[dtype], 1000, dtype=dtype)
    assert error_in_ulps(name, x, computed(x)[name]).max() <= ULPS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_logarithms_at_the_end_of_their_domain(dtype: torch.dtype) -> None:
    found = computed(torch.tensor([0.0, -1.0, -2.0], dtype=dtype))
    assert found["log"].tolist()[0] == found["log1p"].tolist()[1] == -math.inf
    assert found["log"][1:].isnan().all()
    assert found["log1p"][2].isnan()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_functions_of_special_numbers(dtype: torch.dtype) -> None:
    info, inf, nan = torch.finfo(dtype), float("inf"), float("nan")
    x = torch.tensor([0.0, -0.0, inf, -inf, nan, info.max, info.min, info.tiny / 4], dtype=dtype)
    expected = {
        "exp": [1, 1, inf, 0, nan, inf, 0, 1],
        "expm1": [0, 0, inf, -1, nan, inf, -1, 0],
        "tanh": [0, 0, 1, -1, nan, 1, -1, 0],
        "sigmoid": [0.5, 0.5, 1, 0, nan, 1, 0, 0.5],
        "log": [-inf, -inf, inf, nan, nan, math.log(info.max), nan, -inf],
        "log1p": [0, 0, inf, nan, nan, math.log(info.max), nan, 0],
    }
    for name, y in computed(x).items():
        wanted = torch.tensor(expected[name], dtype=dtype)
        torch.testing.assert_close(y, wanted, rtol=info.eps, atol=float(info.tiny), equal_nan=True, msg=f"{name}: {y}")


ARITHMETIC = (Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.POW, Op.FMOD, Op.REMAINDER, Op.MAXIMUM, Op.MINIMUM, Op.ATAN2)
BINARY = (*ARITHMETIC, *sorted(COMPARISONS))
UNARY = sorted({*POINTWISE} - {*BINARY, *LOGICAL, Op.WHERE})
NAN, INF = math.nan, math.inf
SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -2.5, 3.0, -7.25, 1e6, -1e-3]


def points(dtype: torch.dtype) -> Tensor:
    """Return numbers of every size and sign, halves, and what is no number."""
    top = {torch.float32: 100, torch.float64: 900}[dtype]
    sizes = 2.0 ** torch.linspace(-top, top, 301, dtype=torch.float64)
    small = torch.cat([torch.linspace(-3, 3, 241), torch.arange(-8.5, 9, 0.5)])
    return torch.cat([sizes, -sizes, small, torch.tensor(SPECIAL)]).to(dtype)


def applied(
    executor: Executor, draw: Callable[[Builder, Value, Value], list[Value]], x: Tensor, y: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Compute values of two rows of numbers; return each as it is computed before the loop over steps, and in it."""
    build = Builder()
    a, b, one = build.leaf(Op.STREAM, 0, 0, WIDTH), build.leaf(Op.STREAM, 1, 0, WIDTH), build.leaf(Op.CARRY, 0, 0, 1)
    early = draw(build, a, b)
    late = draw(build, build.apply(Op.MUL, a, one), build.apply(Op.MUL, b, one))  # one is 1, but nobody knows
    numbers = [
        build.apply(Op.WHERE, v, build.scalar(1), build.scalar(0)) if v.op in TRUTHS else v for v in early + late
    ]
    program = Program((WIDTH, WIDTH), (1,), (), (), tuple((v,) for v in numbers), ((one,),))
    rows = [torch.nn.functional.pad(side, (0, -len(side) % WIDTH)).view(1, -1, WIDTH) for side in (x, y)]
    found, *_ = executor.run(program, Arguments(rows, [x.new_ones(1, 1)], [], []))
    flat = [output.flatten()[: len(x)] for output in found]
    return list(zip(flat[: len(early)], flat[len(early) :], strict=True))


def assert_is(name: str, found: tuple[Tensor, Tensor], wanted: Tensor, *arguments: Tensor) -> None:
    info = torch.finfo(found[0].dtype)
    for where, one in zip(("early", "late"), found, strict=True):
        near = torch.isclose(one, wanted.to(one.dtype), rtol=32 * info.eps, atol=info.tiny, equal_nan=True)
        wrong = [(*(a[i].item() for a in arguments), one[i].item(), wanted[i].item()) for i in (~near).nonzero()[:5]]
        assert not wrong, f"{where} {name}: (arguments, found, wanted) are {wrong}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_operators_of_one_argument_are_torchs(executor: Executor, dtype: torch.dtype) -> None:
    x = points(dtype)
    made = applied(executor, lambda build, a, _: [build.apply(name, a) for name in UNARY], x, x)
    for name, found in zip(UNARY, made, strict=True):
        assert_is(name, found, POINTWISE[name](x.double()), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_operators_of_two_arguments_are_torchs(executor: Executor, dtype: torch.dtype) -> None:
    x = torch.cat([torch.tensor(SPECIAL, dtype=dtype), 3 * torch.randn(50, dtype=dtype)])
    x, y = torch.cartesian_prod(x, x).unbind(-1)
    made = applied(executor, lambda build, a, b: [build.apply(name, a, b) for name in BINARY], x, y)
    for name, found in zip(BINARY, made, strict=True):
        assert_is(name, found, POINTWISE[name](x.double(), y.double()).double(), x, y)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_operators_take_numbers_in_any_place(executor: Executor) -> None:
    x, numbers = points(torch.float64), (0.0, -0.0, 1.0, 2.5, -1.5, INF, NAN)
    cases = [(name, number, first) for name in BINARY for number in numbers for first in (False, True)]

    def draw(build: Builder, a: Value, _: Value) -> list[Value]:
        sides = [(name, a, build.scalar(number), first) for name, number, first in cases]
        return [build.apply(name, *((n, a) if first else (a, n))) for name, a, n, first in sides]

    for (name, number, first), found in zip(cases, applied(executor, draw, x, x), strict=True):
        other = torch.full_like(x, number)
        wanted = POINTWISE[name](*((other, x) if first else (x, other)))
        assert_is(f"{name} {number} {first}", found, wanted.double(), x)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_choices_and_truth_values_are_torchs(executor: Executor) -> None:
    x, y = torch.cartesian_prod(*2 * [torch.tensor(SPECIAL, dtype=torch.float64)]).unbind(-1)

    def draw(build: Builder, a: Value, b: Value) -> list[Value]:
        n, m, t, u = build.scalar(2), build.scalar(0), build.apply(Op.GT, a, b), build.apply(Op.LT, a, build.scalar(1))
        made = [build.apply(Op.WHERE, t, *sides) for sides in ((a, n), (n, a), (n, m), (a, b))]
        made += [
            build.apply(op, *sides) for op in (Op.AND, Op.OR, Op.XOR) for sides in ((t, u), (t, n), (m, u), (a, b))
        ]
        return [
            *made,
            build.apply(Op.NOT, t),
            build.apply(Op.NOT, a),
            build.apply(Op.ADD, t, u),
            build.apply(Op.EQ, t, u),
        ]

    two, zero, t, u = torch.full_like(x, 2), torch.zeros_like(x), x > y, x < 1
    wanted = [torch.where(t, *sides) for sides in ((x, two), (two, x), (two, zero), (x, y))]
    for op in (torch.logical_and, torch.logical_or, torch.logical_xor):
        wanted += [op(*sides) for sides in ((t, u), (t, two), (zero, u), (x, y))]
    wanted += [~t, torch.logical_not(x), t.double() + u.double(), t == u]
    for index, (found, meant) in enumerate(zip(applied(executor, draw, x, y), wanted, strict=True)):
        assert_is(str(index), found, meant.double(), x, y)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_sign_of_zero_is_kept(executor: Executor) -> None:
    x = torch.tensor([0.0, -0.0, 1.0, -1.0], dtype=torch.float64)

    def draw(build: Builder, a: Value, _: Value) -> list[Value]:
        values = [build.apply(Op.MUL, a, build.scalar(n)) for n in (0.0, -0.0)]
        values += [build.apply(Op(op), a) for op in ("neg", "abs", "floor", "ceil", "round", "trunc", "sqrt", "sin")]
        return [build.apply(Op.DIV, build.scalar(1.0), value) for value in values]

    wanted = [x * 0.0, x * -0.0, -x, x.abs(), x.floor(), x.ceil(), x.round(), x.trunc(), x.sqrt(), x.sin()]
    for found, meant in zip(applied(executor, draw, x, x), wanted, strict=True):
        assert_is("1 / x", found, 1 / meant, x)
