"""Every cell and wrapper on CUDA kernels against the Python loop in double precision."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

import torch
from benchmarking.cases import CASES
from torch import Tensor
from torch.nn import functional as F

from gpu_checks.common import DTYPES, WRAPPERS, Limit, Place, Records
from seqmodels import cells
from seqmodels.backends import unroll
from seqmodels.cells import Cell
from seqmodels.cells.wrappers import zoneout
from seqmodels.sequence import leaves, map_leaves

WITHIN = {torch.float32: 4e-3, torch.bfloat16: 3e-2, torch.float16: 6e-3}
"""Of a tensor's norm: TF32 has 11 digits, bf16 8, fp16 11; errors of a few steps add up."""


class Case(NamedTuple):
    what: str
    cell: Cell[Any]
    x: Tensor
    state: Any
    options: dict[str, Any]


@contextmanager
def same_draws() -> Iterator[None]:
    """Let masks depend on their shape alone, so that both sides of a comparison have the same."""

    def kept(shape: Any, probability: float, like: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(Random(str((tuple(shape), probability))).getrandbits(32))
        return (torch.rand(tuple(shape), generator=generator) < probability).to(like)

    def dropout(x: Tensor, p: float, training: bool) -> Tensor:
        return x * kept(x.shape, 1 - p, x) / (1 - p) if training else x

    before = F.dropout, zoneout._draw
    F.dropout = dropout
    zoneout._draw = lambda rate, shape, like: kept(shape, rate, like)
    try:
        yield
    finally:
        F.dropout, zoneout._draw = before


def measured(cell: Cell[Any], x: Tensor, state: Any, **options: Any) -> dict[str, Tensor]:
    """Return outputs, final state, and the gradients of the input, the parameters and the state."""
    x = x.detach().clone().requires_grad_()
    state = None if state is None else map_leaves(lambda leaf: leaf.detach().clone().requires_grad_(), state)
    y, final = unroll(cell, x, state, **options)
    found = {"y": y} | {f"final {n}": leaf for n, leaf in enumerate(leaves(final))}
    loss = sum((leaf * torch.linspace(-1, 1, leaf.numel()).view(leaf.shape).to(leaf)).sum() for leaf in found.values())
    wanted = {"x": x, **dict(cell.named_parameters())}
    wanted |= {f"state {n}": leaf for n, leaf in enumerate(leaves(state or ()))}
    gradients = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True, materialize_grads=True)
    return {**found, **{f"gradient of {name}": g for name, g in zip(wanted, gradients, strict=True)}}


def compare(
    place: Place, cell: Cell[Any], x: Tensor, state: Any, *, backend: str = "fused", **options: Any
) -> tuple[float, str]:
    """Return the largest error, of the norm of its tensor, and which tensor that is."""
    exact = copy.deepcopy(cell).cpu().double()
    there = {
        name: None if value is None else value.to(place.device) for name, value in options.items() if name != "reverse"
    }
    turned = {"reverse": options.get("reverse", False)}
    with same_draws():
        expected = measured(
            exact, x.double(), map_leaves(Tensor.double, state) if state else None, **options, backend="eager"
        )
        cell = cell.to(place.device)
        state = map_leaves(lambda leaf: leaf.to(place.device), state) if state else None
        actual = measured(cell, x.to(place.device), state, **there, **turned, backend=backend)
    errors = {}
    for name, value in expected.items():
        apart = (actual[name].detach().cpu().double() - value.detach()).norm()
        errors[name] = float(apart / value.detach().norm().clamp_min(1e-3))
    worst = max(errors, key=lambda name: errors[name] if errors[name] == errors[name] else float("inf"))
    return errors[worst], worst


def check_cells(place: Place, limit: Limit, records: Records, names: list[str]) -> None:
    """Check every cell in every dtype, plain and with lengths, resets, a state and time reversed."""
    cases: dict[str, Callable[[int, int], Cell[Any]]] = {name: CASES[name].cell for name in names}
    for name in [name for name in ("LSTMCell", "GRUCell") if name in names]:
        cases |= {
            f"{name} {kind}": lambda i, h, n=name, w=wrap: w(CASES[n].cell(i, h)) for kind, wrap in WRAPPERS.items()
        }
    time, batch, hidden = (3, 5, 20) if place.dry else (9, 37, 72)
    for dtype_name, dtype in DTYPES.items():
        for name, make in cases.items():
            for mode in ("plain", "all"):
                if limit.over():
                    continue
                torch.manual_seed(0)
                cell, x = make(6, hidden).to(dtype), torch.randn(batch, time, 6).to(dtype)
                options: dict[str, Any] = {}
                state = None
                if mode == "all":
                    lengths = torch.randint(1, time + 1, (batch,))
                    options = {"lengths": lengths, "resets": torch.rand(batch, time) < 0.2, "reverse": True}
                    state = place.state(cell, x)
                _record(place, records, Case(f"{name} {dtype_name} {mode}", cell, x, state, options))


def check_wide(place: Place, limit: Limit, records: Records) -> None:
    """Check sizes at which weights lie in several places and groups of rows wait for a team."""
    for hidden, batch, time in (
        [(40, 37, 4)] if place.dry else [(512, 64, 20), (1024, 32, 8), (650, 20, 12), (130, 300, 6)]
    ):
        for dtype_name, dtype in DTYPES.items():
            for name in ("LSTMCell", "GRUCell"):
                if limit.over():
                    continue
                torch.manual_seed(1)
                cell, x = CASES[name].cell(hidden, hidden).to(dtype), torch.randn(batch, time, hidden).to(dtype)
                _record(place, records, Case(f"{name} {dtype_name} {time},{batch},{hidden}", cell, x, None, {}))


def check_random(place: Place, limit: Limit, records: Records, count: int) -> None:
    """Check cells that nobody planned for."""
    from tests.fusion.random_cells import INPUT, PlainCell  # noqa: PLC0415

    for seed in range(count):
        if limit.over():
            continue
        torch.manual_seed(seed)
        dtype = list(DTYPES.values())[seed % 3]
        cell, x = PlainCell(seed).to(dtype), torch.randn(5, 4, INPUT).to(dtype)
        lengths = torch.randint(1, 5, (5,)) if seed % 2 else None
        _record(place, records, Case(f"random cell {seed}", cell, x, None, {"lengths": lengths}))


def check_laws(place: Place, limit: Limit, records: Records) -> None:
    """Check what holds between runs of the kernels: a row is itself in any batch, a sequence is its parts in turn."""
    time, batch, hidden = (4, 5, 20) if place.dry else (12, 40, 96)
    for dtype_name, dtype in DTYPES.items():
        for kind in (cells.LSTMCell, cells.GRUCell):
            if limit.over():
                continue
            torch.manual_seed(2)
            cell = kind(6, hidden).to(place.device, dtype)
            x = torch.randn(batch, time, 6).to(place.device, dtype)
            with torch.no_grad():
                y, final = unroll(cell, x, backend="fused")
                alone, _ = unroll(cell, x[2:3], backend="fused")
                first, state = unroll(cell, x[:, :2], backend="fused")
                second, last = unroll(cell, x[:, 2:], state, backend="fused")
            pairs = {"a row alone": (alone, y[2:3]), "in two parts": (torch.cat([first, second], 1), y)}
            pairs |= {"final state": (leaves(last)[0], leaves(final)[0])}
            for law, (one, other) in pairs.items():
                error = float((one.double() - other.double()).norm() / other.double().norm())
                records.add("laws", f"{kind.__name__} {dtype_name}: {law}", ok=error <= WITHIN[dtype], error=error)


def _record(place: Place, records: Records, case: Case) -> None:
    try:
        error, where = compare(place, case.cell, case.x, case.state, **case.options)
    except Exception as failure:  # one of many: the others are still to be seen
        records.add("correctness", case.what, ok=False, why=f"{type(failure).__name__}: {str(failure)[:300]}")
        return
    most, facts = WITHIN[case.x.dtype], {}
    if error > most:  # some cells amplify rounding, in a loop as well
        facts = {"loop": compare(place, case.cell, case.x, case.state, backend="eager", **case.options)[0]}
        most = max(most, 2 * facts["loop"])
    records.add("correctness", case.what, ok=error <= most, error=error, where=where, **facts)
