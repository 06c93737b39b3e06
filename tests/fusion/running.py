"""Running cells through a given executor, and comparing what comes out with ``eager``, the definition."""

from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels.cells import Cell
from seqmodels.fusion.cpp.build import reason
from seqmodels.fusion.cpp.executor import Cpp
from seqmodels.fusion.plan import Executor
from seqmodels.fusion.portable import Portable
from seqmodels.unroll.eager import Eager
from seqmodels.unroll.fused import Fused
from tests.unroll.fakes import assert_same, measured

needs_compiler = pytest.mark.skipif(reason() is not None, reason=f"C++ kernels: {reason()}")
EXECUTORS = [pytest.param(Portable(), id="portable"), pytest.param(Cpp(), id="cpp", marks=needs_compiler)]


class Through(Fused):
    """The fused back-end with an executor of the test's choice."""

    def __init__(self, executor: Executor) -> None:
        super().__init__()
        self.chosen = executor

    def executor(self, device: torch.device, dtype: torch.dtype) -> Executor:
        return self.chosen


def assert_equals_eager(
    executor: Executor, cell: Cell[Any], x: Tensor, state: Any = None, lengths: Tensor | None = None
) -> None:
    """Compare outputs, final states and every gradient; masks that ``project`` draws are the same in both runs."""

    def through(backend: Any) -> dict[str, Tensor]:
        torch.manual_seed(1)
        bare = cell.bare()
        return measured(
            lambda leaf: backend(bare, leaf, bare.initial_state(leaf) if state is None else state, lengths),
            cell,
            x,
            state,
        )

    assert_same(through(Through(executor)), through(Eager()))
