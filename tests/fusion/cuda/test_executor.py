"""CUDA kernels, run on the CPU, against the interpreter and ``eager``."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels.backends.eager import Eager
from seqmodels.cells import (
    Cell,
    ElmanCell,
    GRUCell,
    IndRNNCell,
    LayerNormLSTMCell,
    LearnedInitialState,
    LSTMCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    RecurrentDropout,
    Zoneout,
)
from seqmodels.fusion.cuda import emit, executor
from seqmodels.fusion.cuda.executor import Cuda
from seqmodels.fusion.cuda.layout import Options
from seqmodels.fusion.cuda.prelude import text_of
from seqmodels.fusion.executor import Arguments, Results
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.ops import Op
from seqmodels.fusion.plan import step_of
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Product
from tests.backends.fakes import measured
from tests.fusion.cuda.emulator import EmulatedCard
from tests.fusion.interpreter import LENGTHS, assert_runs, inputs_for, with_resets
from tests.fusion.random_programs import Draft, Drawn, carry, stream
from tests.fusion.running import Through, assert_equals_eager
from tests.fusion.test_executors import KINDS, PLACES, everywhere, side_by_side

CELLS: dict[str, Any] = {
    "elman": lambda: ElmanCell(5, 20),
    "lstm": lambda: LSTMCell(5, 20),
    "gru": lambda: GRUCell(5, 33),
    "projected": lambda: ProjectedLSTMCell(5, 24, proj_size=9),
    "peephole": lambda: PeepholeLSTMCell(5, 20),
    "layer norm": lambda: LayerNormLSTMCell(5, 20),
    "no product": lambda: IndRNNCell(5, 20),
    "learned initial state": lambda: LearnedInitialState(GRUCell(5, 12)),
    "zoneout": lambda: Zoneout(LSTMCell(5, 12), {"h": 0.2, "c": 0.1}),
    "recurrent dropout": lambda: RecurrentDropout(GRUCell(5, 12), 0.3),
}


class InDouble(Cuda):
    """Runs programs in float32 with exact products, on arguments in double precision."""

    def run(self, program: Program, arguments: Arguments) -> Results:
        def narrow(tensors: Sequence[Tensor]) -> list[Tensor]:
            return [tensor.float() for tensor in tensors]

        kinds: dict[str, Any] = {
            name: narrow(getattr(arguments, name)) for name in ("streams", "carries", "vectors", "weights", "restart")
        }
        first = arguments.first
        found = super().run(program, arguments._replace(**kinds, first=None))
        results = Results(*([tensor.double() for tensor in kind] for kind in found))
        if first is not None:
            results.outputs[0] = first.copy_(results.outputs[0])
        return results


def exact(**options: Any) -> Cuda:
    return InDouble(EmulatedCard(exact=True, **options))


def check(
    program: Program,
    weights: Sequence[tuple[int, int]],
    seed: int = 0,
    *,
    ragged: bool,
    within: float = 1e-4,
    **options: Any,
) -> None:
    """Compare a run with that of the interpreter; a kernel for lengths and resets is another one, also to compile."""
    given = inputs_for(program, weights, seed)
    given = with_resets(program, given._replace(lengths=LENGTHS)) if ragged else given
    assert_runs(exact(**options), program, given, within=within)


@pytest.mark.parametrize("name", CELLS)
def test_cells_run_as_in_a_loop(name: str) -> None:
    cell: Cell[Any] = CELLS[name]().float()
    x = torch.randn(5, 4, 5, generator=torch.Generator().manual_seed(1))
    executor = Cuda(EmulatedCard(exact=True))
    if name in ("lstm", "gru", "layer norm"):  # kernels for whole sequences lack parts of the others
        assert_equals_eager(executor, cell, x)
    resets = torch.tensor([[row * t % 3 == 1 for t in range(4)] for row in range(5)])
    assert_equals_eager(executor, cell, x, lengths=torch.tensor([4, 1, 3, 4, 2]), resets=resets)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_rounding_is_that_of_the_products(dtype: torch.dtype) -> None:
    cell = GRUCell(5, 33).to(dtype)
    x = torch.randn(18, 5, 5, generator=torch.Generator().manual_seed(1)).to(dtype)
    found = {}
    for name, backend in {"exact": Eager(), "eager": Eager(), "cuda": Through(Cuda(EmulatedCard()))}.items():
        other = copy.deepcopy(cell).double() if name == "exact" else cell
        run = partial(_from_zero, backend, other)
        found[name] = measured(run, other, x.to(next(other.parameters()).dtype))
    bound = {torch.bfloat16: 3e-2, torch.float16: 6e-3, torch.float32: 4e-3}[dtype]
    for key, wanted in found["exact"].items():
        off = (found["cuda"][key].double() - wanted).norm() / wanted.norm()
        assert off < bound, (key, off)
    # more exact than a loop in the same type, whose state is rounded at every step
    if dtype != torch.float32:
        own, loop = ((found[name]["y"].double() - found["exact"]["y"]).norm() for name in ("cuda", "eager"))
        assert own < loop


def _from_zero(backend: Any, cell: Cell[Any], x: Tensor) -> Any:
    return backend(cell, x, cell.initial_state(x), None)


@pytest.mark.parametrize("place", PLACES)
def test_values_of_all_kinds_side_by_side(place: str) -> None:
    draft, programs = side_by_side(place)
    ragged = place in ("output", "carry", "total")  # lengths and resets are nothing to an operand
    card = {"multiprocessors": 9, "shared_bytes": 512 << 10}
    check(programs[PLACES.index(place) % 2], draft.weights, ragged=ragged, within=1e-3, **card)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 19])
@pytest.mark.parametrize("kind", KINDS)
def test_every_value_in_every_place(kind: str, size: int) -> None:
    draft = Draft()
    program = draft.program(*everywhere(draft, KINDS[kind](draft, size)), backwards=size == 2)
    for ragged in (False, True):
        check(program, draft.weights, ragged=ragged)


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 100))])
def test_programs_drawn_at_random(seed: int) -> None:
    drawn = Drawn(seed)
    check(drawn.whole(), drawn.weights, seed, ragged=seed % 2 == 0, disorder=seed)


def test_what_is_no_number_is_handed_on() -> None:
    b = Draft()
    state = b.times([b.apply(Op.MUL, carry(b, 19), stream(b, 19))], 19)
    sums = [b.reduce(op, state) for op in (Op.SUM, Op.AMAX, Op.AMIN)]
    moved = b.select([state, *sums], [18, 3, 19, 20, 21])
    program = b.program([(state, moved)], [(carry(b, 19),)])
    given = inputs_for(program, b.weights)
    words = torch.tensor([-1, 0x7FC00000, 0x7F800000], dtype=torch.int32)  # the mark of an empty word, NaN, infinity
    given.streams[0][:3, :, 3] = words.view(torch.float32).double()[:, None]
    assert_runs(exact(), program, given, within=1e-4)


CUTS: dict[str, dict[str, Any]] = {
    "two tiles of rows": {"row_tiles": 2},
    "weights in shared memory": {"kept": 0},
    "operand in parts": {"parts": 2, "kept": 1},
    "warps along columns": {"column_warps": 2, "depth_warps": 1},
    "one block": {"blocks": 1},
    "many blocks": {"blocks": 5, "depth_warps": 4},
}


@pytest.mark.parametrize("cut", CUTS)
def test_however_a_program_is_cut(monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    step, *_ = step_of(GRUCell(5, 40), torch.zeros(3, 4, 5))
    assert step.pair is not None

    def chosen(program: Program, dtype: torch.dtype, *, ragged: bool, **_: Any) -> list[Options]:
        return [replace(Options(dtype, blocks=3, depth_warps=2, ragged=ragged), **CUTS[cut])]

    monkeypatch.setattr(executor, "choices", chosen)
    odd = [*CUTS].index(cut) % 2 == 1
    for program, ragged in ((step.pair.forward, odd), (step.pair.backward, not odd)):
        check(program, weights_of(program), ragged=ragged, within=1e-3, multiprocessors=5)


def test_groups_of_rows_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = LSTMCell(5, 20).float()
    x = torch.randn(70, 3, 5, generator=torch.Generator().manual_seed(1))  # five groups, of which two run at once
    assert_equals_eager(Cuda(EmulatedCard(exact=True)), cell, x, lengths=torch.arange(70) % 3 + 1)


def test_results_are_the_same_at_any_timing() -> None:
    step, *_ = step_of(LayerNormLSTMCell(5, 20), torch.zeros(3, 4, 5))
    assert step.pair is not None
    program = step.pair.backward
    given = inputs_for(program, weights_of(program))
    first = exact().run(program, given)
    for seed in range(3):
        again = exact(disorder=seed).run(program, given)
        for one, other in zip(first, again, strict=True):
            assert all(map(torch.equal, one, other))


def test_a_wait_without_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    step, *_ = step_of(ElmanCell(5, 20), torch.zeros(3, 4, 5))
    program = step.forward
    given = inputs_for(program, weights_of(program))
    broken = exact()
    text, handed = text_of("kernel.cuh"), "if (in) put(p, word =="
    assert handed in text
    monkeypatch.setattr(emit, "text_of", lambda _: text.replace(handed, "if (in && p == 0) put(p, word =="))
    broken.run(program, given)
    with pytest.raises(RuntimeError, match="gave up"):
        broken.run(program, given)


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    step, *_ = step_of(LSTMCell(5, 200), torch.zeros(3, 4, 5))
    small, given = exact(multiprocessors=3), inputs_for(step.forward, weights_of(step.forward))
    with pytest.raises(BuildFailed, match="200 columns do not fit an emulated card"):
        small.run(step.forward, given)
    monkeypatch.setattr(executor, "choices", None)  # the answer is known: cutting a program takes long
    with pytest.raises(BuildFailed, match="200 columns do not fit an emulated card"):
        small.run(step.forward, given)


def weights_of(program: Program) -> list[tuple[int, int]]:
    """Return the shapes of a program's weights; those that it does not use are of one number."""
    shapes = {
        each.weight: (each.width, each.depth) if each.transposed else (each.depth, each.width)
        for each in program.products
        if isinstance(each, Product)
    }
    return [shapes.get(number, (1, 1)) for number in range(max(shapes, default=-1) + 1)]
