"""The page of a run: nothing in it comes from outside or from the data as markup, and no file is needed but some."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest

from seqmodels.commands.runs.report import write_after
from seqmodels.errors import ConfigError
from seqmodels.inspection.report.blocks import Block, Example, Examples, Figure, Page, Section, Table, Text, Tile, Word
from seqmodels.inspection.report.evaluation import evaluation_page
from seqmodels.inspection.report.history import MOST, read_history
from seqmodels.inspection.report.page import html, plotly_path
from seqmodels.inspection.report.single import REPORT, run_page, write_report
from seqmodels.training.records.record import RECORD
from tests.inspection.report.records import RECORDS
from tests.inspection.report.small import HOSTILE
from tests.run_folders import run_folder

METRICS = {"best/val/loss": 0.5, "test/accuracy": 0.75, "test/majority_accuracy": 0.25, "epochs": 2, "best/epoch": 1}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("runs") / "run", "cell=gru", "seed=3", metrics=METRICS)


@pytest.fixture
def run(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "2026-11-27_12-49-40-123456_gru-5"))


def text_of(folder: Path) -> str:
    """The report of a run without the script of plotly."""
    return re.sub(r'id="plotly">[^<]*<', "<", write_report(folder).read_text(encoding="utf-8"))


def test_no_text_becomes_markup_wherever_it_stands() -> None:
    figure = Figure(
        HOSTILE, [{"type": "scatter", "x": [HOSTILE], "y": [1], "name": HOSTILE}], {"title": HOSTILE}, caption=HOSTILE
    )
    example = Example(HOSTILE, [(HOSTILE, HOSTILE)], figure, [Word(HOSTILE, HOSTILE, HOSTILE)])
    blocks: list[Block] = [
        figure,
        Table([HOSTILE], [[HOSTILE]], caption=HOSTILE),
        Text(HOSTILE),
        Text(HOSTILE, code=True),
        Text(HOSTILE, folded=HOSTILE),
        Examples([example], HOSTILE),
    ]
    page = html(Page(HOSTILE, HOSTILE, [Tile(HOSTILE, HOSTILE, HOSTILE)], [Section(HOSTILE, blocks)] * 3))
    assert "<script>document" not in page
    assert page.count("&lt;script&gt;document") > 20
    assert page.count("\\u003cscript\\u003edocument") == 18  # three in each of two figures, in three sections


def test_a_page_fetches_nothing(run: Path) -> None:
    page = text_of(run)
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=[\"'](?!#)|https?://|@import|url\(", page)


def test_the_report_says_what_was_trained_and_how_well(run: Path) -> None:
    page = run_page(run)
    assert page.title == "gru-5"
    assert [(tile.name, tile.value, tile.note) for tile in page.tiles[:2]] == [
        ("test/accuracy", "0.75", "majority: 0.25"),
        ("val/loss", "0.5", "epoch 1"),
    ]
    text = text_of(run)
    for part in ("seqmodels train cell=gru seed=3", "Learning curves", "config.yaml"):
        assert part in text
    assert text.count('class="plot"') == len(page.figures) == 1


@pytest.mark.parametrize("name", ["metrics.csv", "metrics.json", "config.yaml", ".hydra", "environment.json", RECORD])
def test_a_run_without_one_of_its_files_has_a_report(name: str, run: Path) -> None:
    (run / RECORD).write_text('{"phases": {}, "data": {}, "test": {}}')
    path = run / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "gru-5" in text_of(run)


def test_a_damaged_file_ends_the_command_with_its_name_but_not_a_run(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (run / RECORD).write_text('{"phases"')
    with pytest.raises(ConfigError, match=RECORD):
        write_report(run)
    write_after(run)
    assert re.search(rf"the report was not written: .*{RECORD}.*; to try again: seqmodels report .*gru-5", caplog.text)
    assert not (run / REPORT).exists()
    assert not list(run.glob("*.tmp"))


def test_a_long_course_is_drawn_with_bounded_points_and_half_a_line_is_left_out(tmp_path: Path) -> None:
    rows = [f",{step},{step / 7}" for step in range(5000)]
    (tmp_path / "metrics.csv").write_text("\n".join(["epoch,step,lr-Adam", *rows, "1,50"]))
    curve = read_history(tmp_path)["lr-Adam"]
    assert 1 < len(curve.values) <= MOST + 1
    assert (curve.steps[-1], curve.values[-1], curve.epochs) == (4999, 4999 / 7, None)
    (tmp_path / "metrics.csv").write_text("epoch,step,lr-Adam\n0,1,fast\n")
    with pytest.raises(ConfigError, match=r"metrics\.csv cannot be read"):
        read_history(tmp_path)


def test_a_report_takes_less_than_the_seconds_it_may(run: Path) -> None:
    assert plotly_path().is_file()
    started = time.process_time()
    write_report(run)
    assert time.process_time() - started < 3


def test_a_run_ends_with_its_report_unless_it_is_switched_off(command, tmp_path: Path) -> None:
    small = ["trainer=cpu", "trainer.max_epochs=1", "trainer.limit_train_batches=2", "cell.hidden_size=5"]
    small += ["trainer.limit_test_batches=1", "baselines=false", "logger=csv"]
    assert command("train", *small, "report=false", "hydra.run.dir=off").status == 0
    assert command("train", "-m", *small, "seed=1,2", "hydra.sweep.dir=jobs").status == 0
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob(REPORT)) == [
        "jobs/0/report.html",
        "jobs/1/report.html",
    ]
    record = json.loads((tmp_path / "off" / RECORD).read_text())
    assert record["data"]["rows"]["test"] == 359


@pytest.mark.parametrize("task", [*RECORDS, "backtest"])
def test_an_evaluation_has_a_page_of_its_test(task: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"test/loss": 0.5, "test/accuracy": 0.75}')
    if task != "backtest":  # which leaves no record
        (tmp_path / RECORD).write_text(json.dumps(RECORDS[task]))
    page = evaluation_page(tmp_path, {"run": f"logs/{HOSTILE}/run", "checkpoint": "", "data": "other.csv"})
    titles = [section.title for section in page.sections]
    assert page.title == "Evaluation of run"
    assert titles[:2] == ["What was tested", "Metrics"]
    assert (len(titles) > 2) == (task != "backtest")
    assert page.sections[0].blocks == [Table(["", ""], [["run", f"logs/{HOSTILE}/run"], ["data", "other.csv"]], left=2)]
    assert [tile.value for tile in page.tiles] == ["0.75", "0.5"]
    assert "Learning curves" not in titles
    assert "<script>document" not in html(page)
