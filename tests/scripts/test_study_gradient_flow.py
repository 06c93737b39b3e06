"""The study of gradients through time: its settings do what they say, its tables and picture show what was measured."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from seqmodels.cells import GRUCell, LSTMCell, ResetAfterGRUCell
from tests.scripts.conftest import SCRIPTS  # noqa: F401  (puts the scripts where they are found)


@pytest.mark.parametrize(
    ("make", "gate", "sign"), [(LSTMCell, "f", 1), (GRUCell, "z", -1), (ResetAfterGRUCell, "z", 1)]
)
def test_a_bias_opens_the_gate_that_keeps_the_state(make: type, gate: str, sign: int) -> None:
    import study_gradient_flow as script

    cell = script.remembering(make(1, 3), 5.0)
    place = cell.gates.index(gate)
    blocks = cell.get_parameter("bias").view(-1, 3)
    assert blocks[place].tolist() == [5.0 * sign] * 3
    assert blocks.abs().amax(1).gt(1).sum() == 1


def test_a_linear_orthogonal_network_keeps_its_gradient_times_the_gain_per_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import study_gradient_flow as script

    monkeypatch.setattr(script, "STEPS_BACK", (1, 4))
    torch.manual_seed(0)
    cell = script.orthogonal(script.CELLS["elman, identity"](1, 3), 10.0)
    assert script.norms(cell) == pytest.approx([1.0, 4.0], abs=1e-5)


def test_tables_and_picture_show_what_was_measured() -> None:
    import study_gradient_flow as script
    from studying.chart import chart

    found = {
        key: {"log10": [0.0, -2.9, -3.1, 5.0, -240.0], "accuracy": 0.5, "seconds": 2.0}
        for key, _ in script.measurements(1)
    }
    text = script.report(found, 1)
    assert "| `elman, tanh` | **1** | **1e-2.9** | 1e-3.1 | 1e+5.0 | 1e-240.0 |" in text
    assert text.count("`elman, tanh`") == 4, "a cell without gates has no forget bias"
    lines = {name: [0.0, -2.9, -3.1, 5.0, -240.0] for name in ("a<b", "c")}
    picture = ElementTree.fromstring(chart(script.STEPS_BACK, lines, script.LEFT))
    assert len(picture.findall("{*}polyline")) == 2


def test_the_page_has_a_place_for_the_tables() -> None:
    import study_gradient_flow as script

    assert "<!-- study -->" in Path(script.PAGE).read_text()
