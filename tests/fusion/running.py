"""Running cells through a given executor, and comparing what comes out with ``eager``, the definition."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.backends import unroll
from seqmodels.backends.eager import Eager
from seqmodels.backends.fused import Fused
from seqmodels.backends.unrolling import preference
from seqmodels.cells import Cell
from seqmodels.fusion.cpp.build import reason
from seqmodels.fusion.cpp.executor import Cpp
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.portable.executor import Portable
from seqmodels.sequence import leaves, map_leaves
from tests.backends.fakes import assert_same, measured

needs_compiler = pytest.mark.skipif(reason() is not None, reason=f"C++ kernels: {reason()}")
EXECUTORS = [pytest.param(Portable(), id="portable"), pytest.param(Cpp(), id="cpp", marks=needs_compiler)]
ROUNDING = {torch.float64: 1e-9, torch.float32: 2e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""How far two results may lie apart, measured by the largest number of the result."""

BATCH, TIME, INPUT, HIDDEN = 61, 9, 4, 30
"""Sizes at which ``auto`` takes fused kernels."""


class Through(Fused):
    """The fused back-end with an executor of the test's choice."""

    def __init__(self, executor: Executor) -> None:
        super().__init__()
        self.chosen = executor

    def executor(self, device: torch.device, dtype: torch.dtype) -> Executor:
        return self.chosen


def assert_equals_eager(
    executor: Executor,
    cell: Cell[Any],
    x: Tensor,
    state: Any = None,
    lengths: Tensor | None = None,
    *,
    resets: Tensor | None = None,
) -> None:
    """Compare outputs, final states and every gradient; masks that ``project`` draws are the same in both runs."""
    bare = cell.effective()

    def through(backend: Any) -> dict[str, Tensor]:
        torch.manual_seed(1)

        def run(leaf: Tensor) -> tuple[Tensor, Any]:
            initial = cell.initial_state(leaf[:, 0])
            restart = None if resets is None else initial
            given = initial if state is None else state
            return backend(bare, leaf, given, lengths, resets=resets, restart=restart)

        return measured(run, cell, x, state)

    assert_same(through(Through(executor)), through(Eager()))


def outcome(cell: Cell[Any], x: Tensor, state: Any = None, **options: Any) -> dict[str, Tensor]:
    """Unroll and return, by name, outputs, final state and every gradient, of any dtype; seeds are the same each time.

    The loss is linear, so that an output that is not finite leaves the gradients of the others as they are.
    """
    torch.manual_seed(1)
    x = x.detach().clone().requires_grad_()
    state = None if state is None else map_leaves(_leaf, state)
    y, final = unroll(cell, x, state, **options)
    results = {"y": y, **{f"final state {i}": _tensor(leaf) for i, leaf in enumerate(leaves(final))}}
    loss = sum(_weighed(leaf, i) for i, leaf in enumerate(results.values()) if leaf.requires_grad)
    wanted = {"x": x, **dict(cell.named_parameters())}
    wanted |= {f"state {i}": leaf for i, leaf in enumerate(leaves(state or ()))}
    wanted = {name: leaf for name, leaf in wanted.items() if leaf.requires_grad}
    if isinstance(loss, Tensor):
        gradients = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True, materialize_grads=True)
    else:  # nothing asks for a gradient
        gradients = tuple(torch.zeros_like(leaf) for leaf in wanted.values())
    results |= {f"gradient of {name}": leaf for name, leaf in zip(wanted, gradients, strict=True)}
    return {name: leaf.detach().clone() for name, leaf in results.items()}


def _tensor(leaf: Any) -> Tensor:
    """Some states hold more than tensors: numbers, lists, nothing."""
    if isinstance(leaf, list):
        return torch.stack([_tensor(item) for item in leaf])
    return torch.zeros(0) if leaf is None else torch.as_tensor(leaf)


def _leaf(given: Tensor) -> Tensor:
    leaf = given.detach().clone()
    return leaf.requires_grad_() if leaf.is_floating_point() or leaf.is_complex() else leaf


def _weighed(leaf: Tensor, seed: int) -> Tensor:
    """Return a real number that every element of ``leaf`` has a part in."""
    flat = torch.view_as_real(leaf) if leaf.is_complex() else leaf
    weights = torch.randn(flat.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (flat * weights.to(flat.dtype)).sum()


def differences(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    """Say in what two outcomes differ by more than rounding: values, NaN and infinities, dtypes, shapes."""
    assert actual.keys() == expected.keys()
    return [text for name, value in expected.items() for text in _difference(name, actual[name], value)]


def _difference(name: str, actual: Tensor, expected: Tensor) -> Iterator[str]:
    if actual.dtype != expected.dtype:
        yield f"{name} is {actual.dtype}, not {expected.dtype}"
    if actual.shape != expected.shape:
        yield f"{name} has shape {tuple(actual.shape)}, not {tuple(expected.shape)}"
        return
    wide = torch.complex128 if expected.is_complex() else torch.float64
    one, other = actual.to(wide), expected.to(wide)
    apart = (one - other).abs().masked_fill((one == other) | (one.isnan() & other.isnan()), 0)
    finite = other[other.isfinite()].abs()
    scale = 1 + (float(finite.max()) if finite.numel() else 0)
    wrong = ~(apart <= ROUNDING.get(expected.dtype, 0) * scale)
    if bool(wrong.any()):
        place = tuple(wrong.nonzero()[0].tolist())
        numbers = f"{int(wrong.sum())} of {wrong.numel()} numbers"
        yield f"{name} differs in {numbers}, at {place}: {one[place]}, not {other[place]}"


REFUSED = "cannot run this: "


def refused_or_different(cell: Cell[Any], x: Tensor, state: Any = None, **options: Any) -> tuple[str, list[str]]:
    """Compare the back-end ``fused`` with ``eager``; return why it refused, if it did, and in what they differ.

    Anything else that ``fused`` raises counts as a difference.
    """
    expected = outcome(cell, x, state, backend="eager", **options)
    try:
        actual = outcome(cell, x, state, backend="fused", **options)
    except Exception as error:  # one cell of many shall be named with what it raised
        if REFUSED in str(error):
            return str(error).partition(REFUSED)[2], []
        return "", [f"{type(error).__name__}: {error}"]
    return "", differences(actual, expected)


class Single(NamedTuple):
    h: Tensor


class Double(NamedTuple):
    h: Tensor
    c: Tensor


class UserCell(Cell[Any]):
    """A cell as a user writes one: its state is its output, :meth:`advance` is what a test is about."""

    def __init__(self) -> None:
        super().__init__()
        self.input_size, self.hidden_size = INPUT, HIDDEN
        self.weight_ih = nn.Parameter(torch.randn(HIDDEN, INPUT) / 2)
        self.weight_hh = nn.Parameter(torch.randn(HIDDEN, HIDDEN) / 10)
        self.bias = nn.Parameter(torch.randn(HIDDEN) / 2)

    def initial_state(self, x: Tensor) -> Any:
        return Single(self.zeros(x))

    def project(self, x: Tensor) -> Any:
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, wx: Any, state: Any) -> tuple[Tensor, Any]:
        h = self.advance(wx, state.h)
        return h, Single(h)

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.added(wx, h))

    def added(self, wx: Tensor, h: Tensor) -> Tensor:
        return wx + h @ self.weight_hh.t()


def written(advance: Callable[[Any, Any, Any], Tensor], **attributes: Any) -> Any:
    """Return a cell of a class of its own, in double precision, whose ``advance`` and attributes are given."""
    cell = type("Written", (UserCell,), {"advance": advance})().double()
    for name, value in attributes.items():
        setattr(cell, name, value)
    return cell


def cases(table: Mapping[str, Any]) -> list[Any]:
    """Return the values of a table as parameters of a test, named by their keys."""
    return [pytest.param(value, id=name) for name, value in table.items()]


def sequence(cell: Cell[Any], batch: int = BATCH, time: int = TIME) -> Tensor:
    """Return an input for ``cell``, the same each time, in the dtype of its parameters."""
    dtype = next((parameter.dtype for parameter in cell.parameters()), torch.float64)
    generator = torch.Generator().manual_seed(2)
    return torch.randn(batch, time, cell.input_size, generator=generator, dtype=torch.float64).to(dtype)


def assert_auto_equals_eager(cell: Cell[Any], x: Tensor | None = None, state: Any = None, **options: Any) -> None:
    """Compare ``auto`` with ``eager`` where ``auto`` takes fused kernels unless they refuse."""
    x = sequence(cell) if x is None else x
    assert preference(cell.effective(), x)[0] == "fused", "too small: auto would not try fused kernels"
    expected = outcome(cell, x, state, backend="eager", **options)
    found = differences(outcome(cell, x, state, backend="auto", **options), expected)
    assert not found, found


def assert_inference_equals_eager(cell: Cell[Any], x: Tensor | None = None) -> None:
    """Compare ``auto`` with ``eager`` where nothing asks for a gradient."""
    x = sequence(cell) if x is None else x
    found = []
    for backend in ("eager", "auto"):
        torch.manual_seed(1)
        with torch.no_grad():
            y, final = unroll(cell, x, backend=backend)
        found.append({"y": y, **{f"final state {i}": _tensor(leaf) for i, leaf in enumerate(leaves(final))}})
    assert not (different := differences(found[1], found[0])), different


def assert_change_is_noticed(cell: UserCell, change: Callable[[], Any]) -> None:
    """Compare before and after a change that changes what comes out."""
    assert_auto_equals_eager(cell)
    before = outcome(cell, sequence(cell), backend="eager")["y"]
    change()
    assert not torch.equal(outcome(cell, sequence(cell), backend="eager")["y"], before), "the change changes nothing"
    assert_auto_equals_eager(cell)
