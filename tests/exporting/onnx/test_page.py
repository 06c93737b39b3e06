"""The tables of ``docs/export.md`` say what happens."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from seqmodels.cells import ALL_CELLS, MGUCell
from seqmodels.errors import ConfigError
from seqmodels.exporting.job import export
from seqmodels.exporting.networks import graphs_of
from seqmodels.exporting.onnx import export_onnx
from seqmodels.exporting.onnx.native import native_weights
from tests.exporting.onnx.test_cells import SpikeCell, SpikeState

PAGE = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")


class SortingCell(SpikeCell):
    def step(self, wx: torch.Tensor, state: SpikeState) -> tuple[torch.Tensor, SpikeState]:
        v = state.v.sort(-1).values + wx
        return v, SpikeState(v, state.seen)


def command(**options: object) -> object:
    given = {
        "run": __file__,
        "ckpt": None,
        "output": str(Path(__file__).parent),
        "dtype": "float32",
        "weights": "inside",
    }
    return export(OmegaConf.create({**given, "tolerance": None, "format": "torch", **options}))


REFUSED: dict[str, Callable[[], object]] = {
    "a cell whose step has no program": lambda: export_onnx(SortingCell()),
    "a network that is not of `seqmodels.models`": lambda: graphs_of(nn.Linear(2, 3)),
    "a graph that computes something else": lambda: export_onnx(MGUCell(4, 5), tolerance=0),
    "`dtype=int8` of another format": lambda: command(dtype="int8"),
    "an output that exists": command,
}


def rows(heading: str) -> dict[str, str]:
    """Return the rows of the table whose first column has a heading."""
    table = PAGE.split(f"\n| {heading} |")[1].split("\n\n")[0]
    return dict(re.findall(r"^\| (.*?) \| (.*?) \|$", table, flags=re.MULTILINE))


def test_the_page_says_which_operator_each_cell_is() -> None:
    found = {}
    for kind in ALL_CELLS:
        weights = native_weights(kind(4, 5))
        found[f"`{kind.__name__}`"] = f"`{'Scan' if weights is None else weights.operator}`"
    assert rows("cell") == found


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_page_says_is_refused_is_refused_for_that_reason(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")
    with pytest.raises(ConfigError) as error:
        REFUSED[what]()
    assert rows("what")[what] in str(error.value)


def test_the_page_lists_every_refusal() -> None:
    assert rows("what").keys() == REFUSED.keys()
