"""Reports of several runs: how they are found and grouped, and which differences are larger than chance."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seqmodels.inspection.report.scales import Scale
from seqmodels.inspection.report.significance import differences, holm
from tests.conftest import Answer
from tests.run_folders import run_folder

Command = Callable[..., Answer]
CELLS = ("gru", "elman", "lstm")


def write_runs(logs: Path, original: Path, seeds: int) -> None:
    for place, cell in enumerate(CELLS):
        for seed in range(seeds):
            folder = logs / "digits" / f"2026-11-27_12-49-4{place}-12345{seed % 10}_{cell}-5-seed{seed}"
            shutil.copytree(original, folder)
            changes = {"seed: 1": f"seed: {seed + 1}", "seed=1": f"seed={seed + 1}", "gru": cell, "GRU": cell.title()}
            for path in (folder / "config.yaml", *folder.glob(".hydra/*.yaml")):
                text = path.read_text()
                for before, after in changes.items():
                    text = text.replace(before, after)
                path.write_text(text)
            metrics = {
                "best/val/loss": 0.5 + place,
                "test/accuracy": 0.9 - 0.3 * (place == 1) + seed / 100,
                "epochs": 2,
            }
            (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run: to compose each of many would take longer than their report."""
    return run_folder(tmp_path_factory.mktemp("original") / "run", "cell=gru", "seed=1", metrics={})


@pytest.fixture
def logs(original: Path, tmp_path: Path) -> Path:
    write_runs(tmp_path / "logs", original, 3)
    return tmp_path / "logs"


def test_runs_that_differ_in_the_seed_are_compared_as_groups(command: Command, logs: Path) -> None:
    answer = command("report", "digits")
    assert (answer.status, answer.out) == (0, f"{logs / 'digits' / 'comparison.html'}\n")
    page = (logs / "digits" / "comparison.html").read_text()
    assert "9 runs in 3 groups, over seed" in page
    assert page.count("larger than the spread") == 2  # elman from each of the others
    assert page.count("within the spread") == 1
    assert page.count("no spread to compare with") == 3  # the same loss for every seed
    assert "Welch&#39;s t-test" in page
    assert "\\toprule" in page
    assert "test/accuracy_deviation" not in page  # the CSV has a line for each run


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["gru-5-seed0"], "report.html"),
        (["latest"], "report.html"),
        (["best:digits"], "report.html"),
        ([], "report.html"),
        (["logs/digits/*gru*"], "comparison.html"),
        (["gru-5-seed0", "elman-5-seed0"], "comparison.html"),
        (["digits", "where=[cell=gru]"], "comparison.html"),
    ],
)
def test_runs_are_named_as_elsewhere(names: list[str], found: str, command: Command, logs: Path) -> None:
    answer = command("report", *names)
    assert answer.status == 0, answer.err
    assert Path(answer.out.strip()).name == found
    assert Path(answer.out.strip()).is_file()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["nothing"], "nothing: there is no such folder"),
        (["logs/*zzz*"], "there is no run under logs/*zzz*"),
        (["digits", "where=[cell=gru,seed=1]"], "a comparison needs at least two runs, got 1"),
        (["gru-5-seed0", "by=seed"], "by= is for a comparison"),
        (["gru-5-seed0", "images=jpg"], "images=jpg: it must be one of svg, png"),
        (["gru-5-seed0", "output=no/such.html"], "there is no folder no"),
        (["digits", "metrics=[test/f2]"], "no run has test/f2"),
    ],
)
def test_what_cannot_be_reported_is_refused(tokens: list[str], message: str, command: Command, logs: Path) -> None:
    answer = command("report", *tokens)
    assert answer.status == 2
    assert message in answer.err
    assert not list(logs.rglob("*.html"))


def test_single_runs_are_too_few_to_tell(command: Command, logs: Path) -> None:
    assert command("report", "digits", "where=[seed=1]").status == 0
    assert (logs / "digits" / "comparison.html").read_text().count("too few runs to tell") == 6


def test_fifty_runs_take_less_than_ten_seconds(command: Command, original: Path, tmp_path: Path) -> None:
    write_runs(tmp_path / "logs", original, 17)
    started = time.process_time()
    assert command("report", "digits").status == 0
    assert time.process_time() - started < 10
    assert "51 runs in 3 groups" in (tmp_path / "logs" / "digits" / "comparison.html").read_text()


def test_a_difference_is_tested_by_welchs_test_and_corrected_for_all_pairs() -> None:
    stats = pytest.importorskip("scipy.stats")
    groups = {"a": [1.0, 2.0, 4.0], "b": [3.0, 5.0, 8.0, 9.0], "c": [7.0, 7.5]}
    found = differences(groups, higher=True)
    p = [stats.ttest_ind(groups[each.first], groups[each.second], equal_var=False).pvalue for each in found]
    assert [each.p for each in found] == pytest.approx(p)
    assert [each.corrected for each in found] == pytest.approx(holm(p))
    assert [each.difference for each in found] == pytest.approx([-47 / 12, -59 / 12, -1])


@pytest.mark.parametrize(
    ("p", "corrected"),
    [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.5, 0.9], [1.0, 1.0]), ([], []), ([0.2], [0.2])],
)
def test_holm_multiplies_each_p_value_by_the_number_of_those_not_smaller(
    p: list[float], corrected: list[float]
) -> None:
    assert holm(p) == pytest.approx(corrected)


def test_of_many_groups_each_is_compared_with_the_best_alone() -> None:
    pytest.importorskip("scipy")
    groups = {str(number): [number, number + 0.5] for number in range(9)}
    assert {each.first for each in differences(groups, higher=True)} == {"8"}
    assert {each.first for each in differences(groups, higher=False)} == {"0"}


@pytest.mark.parametrize(
    ("values", "heights"),
    [
        ([1, 3, 2], [0, 1, 0.5]),
        ([1e-4, 1e-2, 1e-3], [0, 1, 0.5]),
        (["b", None, "a"], [0.5, 1, 0]),
        ([True, False], [1, 0]),
        ([5, 5], [0.5, 0.5]),
    ],
)
def test_an_axis_orders_numbers_by_size_and_all_else_by_name(values: list[object], heights: list[float]) -> None:
    scale = Scale.of(values)
    assert [scale.height(value) for value in values] == pytest.approx(heights)
