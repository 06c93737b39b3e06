"""CUDA kernels, run on the CPU, against the interpreter and ``eager``."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

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
from seqmodels.fusion.cuda import layout
from seqmodels.fusion.cuda.executor import GAVE_UP, Cuda
from seqmodels.fusion.executor import Arguments, Results
from seqmodels.fusion.plan import step_of
from seqmodels.fusion.program import Program
from tests.fusion.cuda.emulator import EmulatedCard
from tests.fusion.interpreter import LENGTHS, RESETS, assert_runs, inputs_for
from tests.fusion.random_programs import Drawn
from tests.fusion.running import assert_equals_eager
from tests.fusion.test_executors import KINDS, Draft, everywhere

CELLS: dict[str, Any] = {
    "elman": lambda: ElmanCell(5, 20),
    "lstm": lambda: LSTMCell(5, 20),
    "gru": lambda: GRUCell(5, 33),
    "projected": lambda: ProjectedLSTMCell(5, 24, proj_size=9),
    "peephole": lambda: PeepholeLSTMCell(5, 20),
    "layer norm": lambda: LayerNormLSTMCell(5, 20),
    "no product": lambda: IndRNNCell(5, 20),
    "learned initial state": lambda: LearnedInitialState(GRUCell(5, 12)),
    "zoneout": lambda: Zoneout(LSTMCell(5, 12), 0.2),
    "recurrent dropout": lambda: RecurrentDropout(GRUCell(5, 12), 0.3),
}


class InDouble(Cuda):
    """Runs programs in float32 with exact products, on arguments in double precision."""

    def run(self, program: Program, arguments: Arguments) -> Results:
        def narrow(tensors: Sequence[Tensor] | None) -> list[Tensor] | None:
            return None if tensors is None else [tensor.float() for tensor in tensors]

        streams, carries, vectors, weights, lengths, resets, restart, first = arguments
        kinds = (narrow(kind) for kind in (streams, carries, vectors, weights))
        found = super().run(program, Arguments(*kinds, lengths, resets, narrow(restart)))  # type: ignore[arg-type]
        results = Results(*([tensor.double() for tensor in kind] for kind in found))
        if first is not None:
            results.outputs[0] = first.copy_(results.outputs[0])
        return results


def exact(**options: Any) -> Cuda:
    return InDouble(EmulatedCard(exact=True, **options))


def check(program: Program, weights: Sequence[tuple[int, int]], seed: int = 0, **options: Any) -> None:
    given = inputs_for(program, weights, seed)
    executor = exact(**options)
    assert_runs(executor, program, given, within=1e-4)
    assert_runs(executor, program, given._replace(lengths=LENGTHS, resets=RESETS), within=1e-4)


@pytest.mark.parametrize("name", CELLS)
def test_cells_run_as_in_a_loop(name: str) -> None:
    cell: Cell[Any] = CELLS[name]().float()
    x = torch.randn(5, 4, 5, generator=torch.Generator().manual_seed(1))
    executor = Cuda(EmulatedCard(exact=True))
    assert_equals_eager(executor, cell, x)
    resets = torch.tensor([[row * t % 3 == 1 for t in range(4)] for row in range(5)])
    assert_equals_eager(executor, cell, x, lengths=torch.tensor([4, 1, 3, 4, 2]), resets=resets)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_narrow_types_differ_from_a_loop_by_rounding(name: str, dtype: torch.dtype) -> None:
    ...
