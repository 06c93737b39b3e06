"""Programs are printed as a reader can follow them."""

import pytest

from seqmodels.cells import ALL_CELLS, ElmanCell, GRUCell
from tests.scripts.conftest import SCRIPTS


def test_every_line_of_an_elman_network_is_there() -> None:
    from show_program import described

    lines = [line.strip() for line in described(ElmanCell(3, 4)).splitlines()]
    for line in ("w0 = weight_hh", "ap0 = h @ w0.T", "a0 = wx + ap0", "a1 = tanh(a0)", "y[t] = a1", "h = a1"):
        assert line in lines
    assert "p0 = dwx.T @ kept(h)" in lines
    assert "dweight_hh = p0" in lines


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_every_cell_is_printed(cell: type) -> None:
    from show_program import described

    assert "after the loop" in described(cell(3, 4))


def test_generated_code_is_printed_without_the_header_of_every_kernel() -> None:
    from show_program import described

    text = described(ElmanCell(3, 4), cpp=True)
    assert text.startswith("struct Args {")
    assert text.count('extern "C" void run') == 2


def test_the_page_about_fusion_shows_the_program_of_today() -> None:
    from show_program import described

    page = (SCRIPTS.parent / "docs" / "fusion.md").read_text(encoding="utf-8")
    forward, backward = described(GRUCell(3, 4)).split("\n\nbackward")
    assert forward in page
    assert f"backward{backward}" in page
