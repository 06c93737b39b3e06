"""Recurrent cells as published, each through ``fused`` against ``eager``; the few that are refused are listed."""

import inspect
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels.cells import Cell
from tests.fusion import paper_dynamics, paper_gates, paper_memories, paper_spikes, paper_units
from tests.fusion.paper_cells import INPUT, PaperCell
from tests.fusion.running import needs_compiler, outcome, refused_or_different

MODULES: tuple[ModuleType, ...] = (paper_dynamics, paper_gates, paper_memories, paper_spikes, paper_units)
CELLS: dict[str, type[PaperCell]] = {
    name: kind
    for module in MODULES
    for name, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, PaperCell) and kind.__module__ == module.__name__
}
REFUSED = {
    "AttentionOverStates": "bmm",
    "ConvolutionalLSTM": "convolution",
    "DeltaNet": "bmm",
    "FastWeights": "bmm",
    "LinearRecurrentUnit": "complex",
    "Rotation": "an index that is computed",
}
"""A part of the reason for every cell that is refused."""
BATCH, TIME = 5, 6


def sequence(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return an input that is the same each time, and lengths."""
    x = torch.randn(BATCH, TIME, INPUT, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return x.to(dtype), torch.tensor([6, 1, 4, 6, 3])


def drawn(name: str, dtype: torch.dtype = torch.float64) -> Cell[Any]:
    torch.manual_seed(0)
    return CELLS[name]().to(dtype)


@pytest.mark.parametrize("name", sorted(CELLS))
def test_published_cells_equal_eager_or_are_refused_as_listed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")
    x, lengths = sequence(torch.float64)
    refused, different = refused_or_different(drawn(name), x, lengths=lengths)
    assert not different, different
    if name in REFUSED:
        assert REFUSED[name] in refused
    else:
        assert not refused


@pytest.mark.parametrize("name", sorted(CELLS))
def test_published_cells_learn_from_every_parameter(name: str) -> None:
    x, lengths = sequence(torch.float64)
    expected = outcome(drawn(name), x, lengths=lengths, backend="eager")
    assert all(value.isfinite().all() for value in expected.values())
    assert all(value.any() for key, value in expected.items() if key.startswith("gradient"))


def test_no_cell_is_listed_in_vain() -> None:
    assert REFUSED.keys() <= CELLS.keys()
    assert len(CELLS) >= 45


@needs_compiler
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("Clockwork", torch.float32),
        ("GRUD", torch.float64),
        ("LayerNormLSTM", torch.float32),
        ("LeakyIntegrateAndFire", torch.float64),
        ("MogrifierLSTM", torch.float32),
        ("RWKV4", torch.float64),
        ("SLSTM", torch.float32),
        ("StackAugmented", torch.float64),
    ],
    ids=str,
)
def test_published_cells_equal_eager_in_compiled_code(name: str, dtype: torch.dtype) -> None:
    x, lengths = sequence(dtype)
    assert refused_or_different(drawn(name, dtype), x, lengths=lengths) == ("", [])
