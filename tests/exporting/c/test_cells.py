"""Every cell as C computes what PyTorch computes, step by step, with both compilers and their sanitizers."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells import ALL_CELLS, Cell, ElmanCell, GRUCell, LSTMCell
from tests.cells.conftest import WRAPPERS
from tests.exporting.c.conftest import Batch, cases
from tests.fusion.random_cells import PlainCell

INPUT, HIDDEN = 3, 5
RANDOM = 50


class OwnState(NamedTuple):
    h: Tensor
    n: Tensor


class OwnCell(Cell[OwnState]):
    """What users write: a normalised gate, a maximum, a soft maximum over the state, and a state of two widths."""

    def __init__(self) -> None:
        super().__init__()
        self.set_sizes(INPUT, HIDDEN)
        self.inner = nn.Linear(INPUT + HIDDEN, 2 * HIDDEN)
        self.scale = nn.Parameter(torch.randn(HIDDEN))

    def initial_state(self, x: Tensor) -> OwnState:
        return OwnState(self.zeros(x) + 0.5, self.zeros(x, 1))

    def project(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def step(self, wx: Tensor, state: OwnState) -> tuple[Tensor, OwnState]:
        a, b = self.inner(torch.cat([wx, state.h], -1)).chunk(2, -1)
        gate = torch.softmax(F.layer_norm(a, (HIDDEN,), self.scale), -1)
        h = torch.where(b > 0, gate * b, F.softplus(b)) - state.n.exp()
        return torch.cat([h, h.flip(-1)], -1), OwnState(
            h.clamp(-2, 2), torch.maximum(h.mean(-1, keepdim=True), gate[:, :1])
        )

    @property
    def output_size(self) -> int:
        return 2 * HIDDEN


def cells() -> dict[str, Cell[Any]]:
    torch.manual_seed(0)
    found: dict[str, Cell[Any]] = {kind.__name__: kind(INPUT, HIDDEN) for kind in ALL_CELLS}
    for name, wrap in WRAPPERS.items():
        for kind in (LSTMCell, GRUCell):
            found[f"{name}_{kind.__name__}"] = wrap(kind(INPUT, HIDDEN))
    found |= {f"elman_{a}": ElmanCell(INPUT, HIDDEN, activation=a) for a in ("relu", "sigmoid", "identity")}
    found |= {"own": OwnCell(), "wide_lstm": LSTMCell(INPUT, 19)}  # 76 columns: a whole panel and a narrower one
    return found | {f"random{seed}": PlainCell(seed) for seed in range(RANDOM)}


CELLS = cells()
CLANG = {kind.__name__ for kind in ALL_CELLS} | {"own", "wide_lstm"}


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return Batch(CELLS, CLANG, tmp_path_factory.mktemp("cells"))


@pytest.mark.parametrize(("compiler", "name"), cases(CELLS, CLANG))
def test_the_c_of_a_cell_computes_what_pytorch_does(batch: Batch, compiler: str, name: str) -> None:
    assert batch.difference(compiler, name) <= 1e-5
