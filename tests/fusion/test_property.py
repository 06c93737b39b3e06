"""Cells that nobody planned for, drawn at random, through both executors against ``eager``."""

import pytest
import torch

from seqmodels.fusion.cpp.executor import Cpp
from seqmodels.fusion.plan import Executor
from seqmodels.fusion.portable import Portable
from tests.fusion.random_cells import INPUT, RandomCell
from tests.fusion.running import assert_equals_eager, needs_compiler
from tests.unroll.fakes import random_state


def assert_random_cell_equals_eager(executor: Executor, seed: int) -> None:
    cell = RandomCell(seed).double()
    batch = 7 + seed % 3
    x = torch.randn(batch, 4, INPUT, dtype=torch.float64)
    lengths = torch.randint(1, 5, (batch,)) if seed % 2 else None
    state = random_state(cell, x) if seed % 3 else None
    assert_equals_eager(executor, cell, x, state, lengths)


@pytest.mark.parametrize("seed", range(60))
def test_random_cells_equal_eager(seed: int) -> None:
    assert_random_cell_equals_eager(Portable(), seed)


@needs_compiler
@pytest.mark.parametrize("seed", range(100, 110))
def test_random_cells_equal_eager_in_compiled_code(seed: int) -> None:
    assert_random_cell_equals_eager(Cpp(), seed)
