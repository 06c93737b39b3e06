"""The comparison of the jobs of a multirun: readable, whole in ``comparison.csv``, and of names as they are."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from seqmodels.commands.runs.comparison import job_folders, print_comparison
from seqmodels.commands.runs.layout import MAX_WIDTH

METRICS = {f"{stage}/{name}": 0.5 for stage in ("val", "test") for name in ("loss", "accuracy", "f1", "auroc")}
METRICS |= {f"test/persistence_{number}": 1.5 for number in range(19)} | {"parameters": 1234}


def job(folder: Path, overrides: list[str], metrics: dict[str, Any] | None = METRICS) -> Path:
    """Write what a job leaves in its folder."""
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(overrides), folder / ".hydra" / "overrides.yaml")
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def read(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "comparison.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("value", ["[default,ema]", "[/a]", "[[zoneout],[x]]", ":smile:", "[link=x]", "'a, b'"])
def test_a_value_is_printed_as_it_is(value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job(tmp_path / "0", [f"x={value}", "y=1"])
    job(tmp_path / "1", ["x=other", "y=1"])
    print_comparison(tmp_path)
    assert f" {value} " in capsys.readouterr().out
    assert [row["x"] for row in read(tmp_path)] == [value, "other"]


def test_a_table_of_many_metrics_fits_a_line_and_the_file_has_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        job(tmp_path / str(number), [f"seed={number}", "cell=gru", f"data.path={'long/' * 19}{number}"])
    print_comparison(tmp_path)
    out = capsys.readouterr().out
    header = next(line for line in out.splitlines() if "job" in line)
    shown = header.replace("┃", " ").split()
    assert len(header) <= MAX_WIDTH
    assert shown == ["job", "seed", "path", "val/loss", "test/loss", "test/accuracy", "test/f1"]
    assert f"4 of {len(METRICS)} metrics; all: {tmp_path / 'comparison.csv'}" in out
    rows = read(tmp_path)
    assert list(rows[0])[:3] == ["job", "seed", "data.path"]
    assert {*METRICS} < {*rows[0]}
    assert rows[2]["parameters"] == "1234", "numbers that programs read"


def test_jobs_are_found_whatever_their_folders_are_called(tmp_path: Path) -> None:
    names = ["seed=1,cell=gru", "a/b", "2", "10"]
    folders = {job(tmp_path / name, [f"name={name}"]) for name in names}
    job(tmp_path / "a" / "b" / "evaluations" / "later", [])
    (tmp_path / "3").mkdir()  # failed before anything was written
    assert {*job_folders(tmp_path)} == folders | {tmp_path / "3"}
    assert [path.name for path in job_folders(tmp_path) if path.name.isdigit()] == ["2", "3", "10"]


def test_a_metric_that_is_no_number_and_a_failed_job_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path / "0", ["seed=1"], {"val/loss": 0.25, "test/auroc": None})
    job(tmp_path / "1", ["seed=2"], None)
    (job(tmp_path / "2", ["seed=3"]) / "metrics.json").write_text('{"val/loss": 0.')
    print_comparison(tmp_path)
    out = capsys.readouterr().out
    assert " nan " in out
    assert [row["status"] for row in read(tmp_path)] == ["", "failed", "failed, damaged metrics.json"]
    assert [row["test/auroc"] for row in read(tmp_path)] == ["", "", ""]


def test_jobs_that_differ_in_the_seed_are_also_shown_as_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = {("gru", 1): 0.25, ("gru", 2): 0.75, ("lstm", 1): 0.5, ("lstm", 2): None}
    for number, ((cell, seed), loss) in enumerate(losses.items()):
        overrides = [f"cell={cell}", f"seed={seed}", "cell.hidden_size=5", "model.depth=2"]
        job(tmp_path / str(number), overrides, None if loss is None else {"val/loss": loss, "test/f1": 1 - loss})
    print_comparison(tmp_path)
    jobs, seeds = capsys.readouterr().out.split("over seeds: mean ± standard deviation")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in seeds.splitlines() if "│" in line]
    assert rows == [["gru", "0.50 ± 0.35", "0.50 ± 0.35", "2"], ["lstm", "0.5", "0.5", "1"]]
    assert len([line for line in jobs.splitlines() if "│" in line]) == 4
    assert [row["val/loss"] for row in read(tmp_path)] == ["0.25", "0.75", "0.5", ""], "a row for each job"
