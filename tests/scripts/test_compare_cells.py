"""The comparison of the cells: equal parameters, a rate chosen by validation, and going on where it stopped."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from seqmodels.cells import ALL_CELLS
from seqmodels.config.build import target_of
from seqmodels.config.files import config_folder
from tests.scripts.conftest import SCRIPTS  # noqa: F401  (puts the scripts where they are found)

ADDING, PARITY = "adding", "parity"


def result(value: float, loss: float | None, **more: float) -> dict[str, Any]:
    return {
        "test/accuracy": value,
        "test/loss": value,
        "val/loss": loss,
        "hidden_size": 3,
        "seconds": 5.0,
        "parameters": 1234,
        **more,
    }


def test_a_network_has_the_parameters_of_the_lstm_to_within_2_percent() -> None:
    import compare_cells as script

    config = script.configuration(PARITY, "gru")
    size = script.parameters(PARITY, config, script.hidden_size(PARITY, "gru"))
    assert size == pytest.approx(script.goal(PARITY), rel=0.02)


def test_the_cells_are_those_of_the_articles() -> None:
    import compare_cells as script

    names = {words.split()[0].removeprefix("cell=") for words in script.CELLS.values()}
    compared = {target_of(OmegaConf.load(config_folder() / "cell" / f"{name}.yaml")) for name in names}
    assert compared == set(ALL_CELLS[:9])


def test_the_rate_is_the_one_with_the_lower_validation_loss() -> None:
    import compare_cells as script
    from comparing import report

    slow, fast = script.RATES
    known = {script.name(PARITY, "gru", 1, slow): result(0.5, 0.3), script.name(PARITY, "gru", 1, fast): result(1, 0.2)}
    assert report.best_rate(PARITY, "gru", 1, known) == fast
    known[script.name(PARITY, "gru", 1, fast)] = result(1, None)  # it diverged
    assert report.best_rate(PARITY, "gru", 1, known) == slow
    known[script.name(PARITY, "gru", 2, slow)] = result(0.7, 0.4)
    assert [run["test/accuracy"] for run in report.chosen(PARITY, "gru", known)] == [0.5, 0.7]


def test_what_is_known_is_not_run_again_and_nothing_begins_after_the_budget(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import compare_cells as script

    ran: list[tuple[Any, ...]] = []

    def run(*what: Any) -> dict[str, Any]:
        ran.append(what)
        return result(0.5, 0.1)

    monkeypatch.setattr(script, "run", run)
    monkeypatch.setattr(script, "STORE", tmp_path / "known.json")
    first = script.name("japanese_vowels", "elman, tanh", 1, script.RATES[0])
    known = {first: result(0.9, 0.2)}
    everything = len(script.TASKS) * len(script.CELLS) * (len(script.RATES) + 1)
    assert len(list(script.missing([1, 2], known, ends=-1.0))) == everything - 1
    assert not ran
    assert list(script.missing([1, 2], known, ends=float("inf"))) == []
    assert len(ran) == everything - 1
    assert json.loads((tmp_path / "known.json").read_text()) == known
    assert list(script.missing([1, 2], known, ends=-1.0)) == []


def test_the_slopes_are_those_of_the_answer_by_the_first_marked_number() -> None:
    import compare_cells as script

    class Sum(nn.Module):
        """The right answer, and what forgets the first half."""

        def __init__(self, first: float) -> None:
            super().__init__()
            self.first = nn.Parameter(torch.tensor(first))

        def forward(self, x: Tensor) -> Tensor:
            parts = (x[..., 0] * x[..., 1]).split(script.TIME // 2, dim=1)
            return (self.first * parts[0].sum(1) + parts[1].sum(1))[:, None]

    assert script.heard(Sum(1.0)) == pytest.approx(1)
    assert script.heard(Sum(0.25)) == pytest.approx(0.25)

    class Leak(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.linspace(0.5, 2.0, script.TIME))

        def forward(self, x: Tensor) -> Tensor:
            return (x.sum(-1) * self.weights).sum(1, keepdim=True)

    assert script.reach(Leak()) == pytest.approx(0.25)


def test_the_table_has_a_row_for_every_cell_and_the_best_in_bold() -> None:
    import compare_cells as script
    from comparing import report

    known = {
        script.name(task, cell, seed, script.RATES[0]): result(0.1 * number + 0.01 * seed, 0.2, heard=0.5, reach=0.25)
        for task in script.TASKS
        for number, cell in enumerate(script.CELLS)
        for seed in (1, 2)
    }
    rows = {
        line.split(" | ")[0].strip("| "): line for line in report.table(known).splitlines() if line.startswith("| ")
    }
    assert set(rows) == {"cell", *script.CELLS}
    assert "**0.915** ± 0.007" in rows["forget_input_output"]
    assert rows["elman, tanh"].count("**") == 2  # the least squared error
    assert "| 0.5 | 0.25 | 5 |" in rows["gru"]
    assert "forget_input_output 4.0, " in report.answers(known)  # places 1, 1 and 10
    assert report.answers({}) == "Not all cells have run yet."
    diverged = {**known, script.name(ADDING, "gru", 1, script.RATES[0]): {**result(0.5, None), "test/loss": None}}
    assert "diverged" in report.table(diverged)
    assert "gru 6.0" in report.answers(diverged)  # places 4, 4 and 10
