"""Gates and states of any cell are what its equations say; units that follow the input are found."""

from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells import ALL_CELLS, Cell, ElmanCell, GRUCell, LSTMCell, Zoneout
from seqmodels.data.collate import pad
from seqmodels.inspection import followers, gate_values, saturation, text_properties, traces
from seqmodels.layers import Bidirectional, Recurrent
from seqmodels.models import SequenceClassifier
from seqmodels.sequence import last_step
from tests.conftest import TOLERANCE

BATCH, TIME, INPUT, HIDDEN = 3, 7, 4, 5
LENGTHS = torch.tensor([7, 2, 5])
WITHOUT = {"ConcatLinearCell": {"h"}, "MinGRUCell": {"n"}, "MinLSTMCell": {"n"}}  # gates that nothing is applied to


class HState(NamedTuple):
    h: Tensor


class Gated(Cell[HState]):
    """Two gates and a candidate in one bias, computed by ``kind``."""

    gates = ("u", "v", "w")

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.set_sizes(INPUT, HIDDEN)
        self.kind = kind
        self.weight_ih = nn.Parameter(torch.randn(3 * HIDDEN, INPUT))
        self.weight_hh = nn.Parameter(torch.randn(3 * HIDDEN, HIDDEN))
        if kind != "no bias":
            self.bias = nn.Parameter(torch.randn(3 * HIDDEN))

    def initial_state(self, x: Tensor) -> HState:
        return HState(self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, getattr(self, "bias", None))

    def step(self, wx: Tensor, state: HState) -> tuple[Tensor, HState]:
        a = wx + F.linear(state.h, self.weight_hh)
        if self.kind == "normalised":
            a = F.layer_norm(a, a.shape[-1:])
        u, v, w = a.chunk(3, dim=-1)
        if self.kind == "together":
            u, v = torch.cat([u, v], -1).sigmoid_().chunk(2, dim=-1)
        elif self.kind == "own activation":
            u, v = u / (1 + u.abs()), v.sigmoid()
        else:
            u, v = u.sigmoid(), v.sigmoid()
        h = (u * state.h + v * w.tanh()).tanh()
        return h, HState(h)


def run(cell: Cell[Any]) -> tuple[Tensor, Any]:
    """Return inputs and states of some steps."""
    x = torch.randn(TIME, INPUT)
    return x, cell(x)[1]


@pytest.mark.parametrize("kind", ALL_CELLS, ids=lambda kind: kind.__name__)
def test_every_cell_has_the_gates_that_it_names_within_their_range(kind: type[Cell[Any]]) -> None:
    torch.manual_seed(0)
    cell = kind(INPUT, HIDDEN).eval()
    found = gate_values(cell, *run(cell))
    assert set(found.refused) == WITHOUT.get(kind.__name__, set())
    assert {*found.values, *found.refused} == set(cell.gates)
    for gate, values in found.values.items():
        assert values.shape == (TIME, HIDDEN)
        if (bounds := found.ranges[gate]) is not None:
            assert bool(((values >= bounds[0]) & (values <= bounds[1])).all())


def test_the_gates_of_an_lstm_and_a_gru_are_those_of_their_equations() -> None:
    torch.manual_seed(0)
    lstm, gru = Zoneout(LSTMCell(INPUT, HIDDEN), {"h": 0.1}).eval(), GRUCell(INPUT, HIDDEN).eval()
    x, state = run(lstm)
    i, f, g, o = (lstm.cell.project(x) + state.h @ lstm.cell.weight_hh.T).chunk(4, -1)
    wanted = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
    torch.testing.assert_close(gate_values(lstm, x, state).values, wanted, **TOLERANCE[torch.float32])
    x, state = run(gru)
    (z, r, n), (uz, ur, un) = gru.project(x).chunk(3, -1), gru.weight_hh.chunk(3)
    z, r = (z + state.h @ uz.T).sigmoid(), (r + state.h @ ur.T).sigmoid()
    wanted = {"z": z, "r": r, "n": (n + (r * state.h) @ un.T).tanh()}
    torch.testing.assert_close(gate_values(gru, x, state).values, wanted, **TOLERANCE[torch.float32])


@pytest.mark.parametrize("kind", ["apart", "together", "no bias"])
def test_the_gates_of_a_cell_of_ones_own_are_found_however_it_is_written(kind: str) -> None:
    torch.manual_seed(0)
    cell = Gated(kind).eval()
    x, state = run(cell)
    u, v, w = (cell.project(x) + state.h @ cell.weight_hh.T).chunk(3, -1)
    found = gate_values(cell, x, state)
    wanted = {"u": u.sigmoid(), "v": v.sigmoid(), "w": w.tanh()}
    torch.testing.assert_close(found.values, wanted, **TOLERANCE[torch.float32])
    assert not found.refused


@pytest.mark.parametrize(("kind", "refused"), [("own activation", {"u"}), ("normalised", {"u", "v", "w"})])
def test_a_gate_that_cannot_be_told_is_refused_rather_than_mistaken_for_another(kind: str, refused: set[str]) -> None:
    torch.manual_seed(0)
    cell = Gated(kind).eval()
    found = gate_values(cell, *run(cell))
    assert set(found.refused) == refused
    assert "no activation takes exactly its rows" in found.refused["u"]


def test_a_cell_in_training_mode_is_refused() -> None:
    cell = GRUCell(INPUT, HIDDEN)
    with pytest.raises(ValueError, match="call eval"):
        gate_values(cell, *run(cell))
    with pytest.raises(ValueError, match="call eval"):
        traces(Recurrent(cell), torch.zeros(1, 1, INPUT))


def test_traces_are_in_the_order_of_the_input_in_both_directions_and_zero_past_a_length() -> None:
    torch.manual_seed(0)
    layer = Bidirectional(Recurrent(GRUCell(INPUT, HIDDEN)), Recurrent(LSTMCell(INPUT, HIDDEN), reverse=True)).eval()
    x = torch.randn(BATCH, TIME, INPUT)
    forward, backward = traces(layer, x, lengths=LENGTHS)
    y, _ = layer(x, lengths=LENGTHS)
    wanted = torch.cat([forward.states["h"], backward.states["h"]], -1)
    torch.testing.assert_close(wanted, y, **TOLERANCE[torch.float32])
    assert (forward.reverse, backward.reverse) == (False, True)
    assert not backward.gates["f"][1, 2:].any()
    products = backward.gates["o"] * backward.states["c"].tanh()
    torch.testing.assert_close(products, backward.states["h"], **TOLERANCE[torch.float32])


def test_tracing_a_network_does_not_change_what_it_computes_or_how() -> None:
    torch.manual_seed(0)
    model = SequenceClassifier(partial(LSTMCell, hidden_size=HIDDEN), vocab_size=9, output_size=3, backend="fused")
    model, tokens = model.eval(), torch.randint(9, (BATCH, TIME))
    before = model(tokens, LENGTHS)
    (trace,) = traces(model, tokens, LENGTHS)
    assert torch.equal(model(tokens, LENGTHS), before)
    at_end = last_step(trace.states["h"], LENGTHS)
    torch.testing.assert_close(model.read_out(at_end), before, **TOLERANCE[torch.float32])


TEXTS = ["a(b(c)d)e(f)", "((x)y)(z)w()", "p(q)(r(s(t)))", "u(v(w)x)(y)z"]


def test_a_unit_that_counts_brackets_is_found() -> None:
    """The weights of one unit of a linear Elman cell are set to count them, all others are random."""
    torch.manual_seed(0)
    letters = sorted(set("".join(TEXTS)))
    cell = ElmanCell(len(letters), HIDDEN, activation="identity").eval()
    with torch.no_grad():
        cell.weight_hh[3], cell.weight_ih[3], cell.bias[3] = torch.eye(HIDDEN)[3], 0, 0
        cell.weight_ih[3, letters.index("(")], cell.weight_ih[3, letters.index(")")] = -1, 1
    tokens, lengths = pad([torch.tensor([letters.index(letter) for letter in text]) for text in TEXTS])
    (trace,) = traces(Recurrent(cell).eval(), F.one_hot(tokens, len(letters)).float(), lengths=lengths)
    properties = text_properties([list(text) for text in TEXTS])
    found = {each.property: each for each in followers(trace.states["h"], properties, lengths)}
    assert found["bracket depth"].unit == 3
    assert found["bracket depth"].correlation == pytest.approx(-1, abs=1e-4)
    assert found["bracket depth"].held_out == pytest.approx(-1, abs=1e-4)


def test_properties_of_a_text_are_those_of_its_tokens() -> None:
    found = text_properties([list('A1 ("b")\nc'), ["x"]])
    assert found["capital"][0].nonzero().tolist() == [[0]]
    assert found["digit"][0].nonzero().tolist() == [[1]]
    assert found["bracket depth"][0].tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert found["in quotes"][0].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert found["steps since line end"][0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0]
    assert {values.shape for values in found.values()} == {(2, 10)}


def test_the_saturation_of_a_gate_counts_real_steps_alone() -> None:
    values = torch.tensor([[[0.05, 0.5], [0.95, 0.5]], [[0.95, 0.05], [0.0, 0.0]]])
    low, high = saturation(values, (0.0, 1.0), torch.tensor([2, 1]))
    torch.testing.assert_close(low, torch.tensor([1 / 3, 1 / 3]))
    torch.testing.assert_close(high, torch.tensor([2 / 3, 0.0]))
