"""Elementary functions of compiled kernels, against the same in a wider format: a few units in the last place."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from seqmodels.fusion.cpp.executor import Cpp
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Builder
from tests.fusion.running import needs_compiler

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
    leaf = build.leaf("stream", 0, 0, WIDTH)
    outputs = tuple((build.apply(name, leaf),) for name in FUNCTIONS)
    rows = torch.nn.functional.pad(x, (0, -len(x) % WIDTH)).view(1, -1, WIDTH)
    results, _, _ = Cpp().run(Program((WIDTH,), (), (), (), outputs, ()), [rows], [], [], [], None)
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
