"""ONNX Runtime computes what every cell computes: those of the package, wrapped ones, a user's, random ones."""

from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from seqmodels.cells import (
    ALL_CELLS,
    Cell,
    ElmanCell,
    GRUCell,
    LearnedInitialState,
    LSTMCell,
    MGUCell,
    PeepholeLSTMCell,
    RecurrentDropout,
    RecurrentLayerNorm,
    ResetAfterGRUCell,
    WeightDrop,
    Zoneout,
)
from seqmodels.cells.lstm import LSTMState
from seqmodels.exporting.checking import TOLERANCE
from seqmodels.exporting.networks import graphs_of
from seqmodels.exporting.onnx.convert import converted
from seqmodels.exporting.onnx.runtime import runner
from seqmodels.layers import Recurrent, SequenceLayer, recurrent_stack
from tests.exporting.onnx.many import INPUT, differences
from tests.fusion.random_cells import PlainCell

pytestmark = pytest.mark.usefixtures("as_torch_operators")


@pytest.fixture
def as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")  # compiling kernels would take longer than exporting
    torch.manual_seed(0)


class SpikeState(NamedTuple):
    v: Tensor
    seen: Tensor


class SpikeCell(Cell[SpikeState]):
    """A cell that a user might write: thresholds, a selection, operators that ONNX has not."""

    def __init__(self) -> None:
        super().__init__()
        self.set_sizes(INPUT, 6)
        self.weight = nn.Parameter(torch.randn(6, 6) / 3)
        self.weight_ih = nn.Parameter(torch.randn(6, INPUT))

    def initial_state(self, x: Tensor) -> SpikeState:
        return SpikeState(self.zeros(x), self.zeros(x, 1))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih)

    def step(self, wx: Tensor, state: SpikeState) -> tuple[Tensor, SpikeState]:
        v = 0.9 * state.v + torch.expm1(wx.clamp(max=1)) + F.linear(state.v.roll(1, -1), self.weight)
        spike = (v > 1) & (state.seen < 3)
        v = torch.where(spike, torch.remainder(v, -0.7), torch.log1p(v.abs()))
        return torch.atan2(v, wx), SpikeState(v, state.seen + spike.any(-1, keepdim=True))


def small(kind: type[Cell[Any]], **options: Any) -> Cell[Any]:
    return kind(INPUT, 5, **options)


def cells() -> dict[str, SequenceLayer[Any]]:
    found = {kind.__name__: small(kind) for kind in ALL_CELLS}
    found |= {f"Elman.{name}": small(ElmanCell, activation=name) for name in ("relu", "sigmoid", "identity")}
    found["Spike"] = SpikeCell()
    return {name: Recurrent(cell) for name, cell in found.items()}


def wrapped() -> dict[str, SequenceLayer[Any]]:
    found: dict[str, Cell[Any]] = {
        "zoneout": Zoneout(LSTMCell(INPUT, 5), {"h": 0.3, "c": 0.2}),
        "recurrent_dropout": RecurrentDropout(GRUCell(INPUT, 5), 0.3),
        "weight_drop": WeightDrop(MGUCell(INPUT, 5), 0.3),
        "recurrent_layer_norm": RecurrentLayerNorm(GRUCell(INPUT, 5)),
        "learned_initial_state": LearnedInitialState(LSTMCell(INPUT, 5)),
        "both": Zoneout(RecurrentLayerNorm(MGUCell(INPUT, 5)), {"h": 0.2}),
    }
    for parameter in (p for cell in found.values() for p in cell.parameters()):
        nn.init.normal_(parameter, std=0.5)  # a learned state of zeros would say nothing
    layers: dict[str, SequenceLayer[Any]] = {name: Recurrent(cell) for name, cell in found.items()}
    layers["native_stack"] = recurrent_stack(LSTMCell, INPUT, hidden_sizes=[5, 6], bidirectional=True)
    layers["scan_stack"] = recurrent_stack(MGUCell, INPUT, hidden_sizes=[6, 6], bidirectional=True, residual=True)
    return layers


def randomly(seeds: range) -> dict[str, SequenceLayer[Any]]:
    return {f"seed{seed}": Recurrent(PlainCell(seed)) for seed in seeds}


@pytest.mark.long
@pytest.mark.parametrize(
    "layers",
    [
        pytest.param(cells, id="cells"),
        pytest.param(wrapped, id="wrapped"),
        pytest.param(lambda: randomly(range(10)), id="random0"),
        *(
            pytest.param(partial(randomly, range(start, start + 10)), id=f"random{start}", marks=pytest.mark.slow)
            for start in range(10, 50, 10)
        ),
    ],
)
def test_onnx_runtime_computes_what_the_model_computes(layers: Any) -> None:
    found, _ = differences(layers())
    assert {name: value for name, value in found.items() if not value <= TOLERANCE} == {}


class NegatedLSTMCell(LSTMCell):
    def step(self, wx: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        return super().step(-wx, state)


def test_cells_that_onnx_has_are_its_operators_and_others_are_scans() -> None:
    own: list[type[Cell[Any]]] = [ElmanCell, LSTMCell, PeepholeLSTMCell, GRUCell, ResetAfterGRUCell]
    layers: dict[str, SequenceLayer[Any]] = {kind.__name__: Recurrent(small(kind)) for kind in own}
    layers["reverse"] = Recurrent(LSTMCell(INPUT, 5), reverse=True)
    layers["changed"] = Recurrent(NegatedLSTMCell(INPUT, 5))
    found, operators = differences(layers)
    assert max(found.values()) <= TOLERANCE
    assert sorted(op for op in operators if op in ("RNN", "LSTM", "GRU", "Scan")) == sorted(
        ["RNN", "LSTM", "LSTM", "GRU", "GRU", "LSTM", "Scan"]
    )


def test_a_state_may_be_left_out_and_carried_on_and_padding_has_no_effect() -> None:
    stack = recurrent_stack([MGUCell, GRUCell], INPUT, hidden_sizes=[5, 6])
    (graph,) = graphs_of(stack)
    names = [port.name for port in graph.inputs]
    run = runner(converted(graph).SerializeToString(), names)
    x, lengths = torch.randn(3, 7, INPUT), torch.tensor([7, 2, 5])
    whole, *states = run([x, lengths])
    first, *carried = run([x[:, :2], torch.tensor([2, 2, 2])])
    second, *after = run([x[:, 2:4], torch.tensor([2, 1, 2]), *carried])
    torch.testing.assert_close(torch.cat([first, second], 1)[::2], whole[::2, :4])
    padded = x.masked_fill(torch.arange(7)[None, :, None] >= lengths[:, None, None], torch.nan)
    for one, other in zip(run([padded, lengths]), (whole, *states), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert len(after) == len(states) == 2
