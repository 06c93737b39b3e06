"""``seqmodels runs``: what is listed, in what order and form, which run is the best, and what is deleted."""

import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

import pytest
import yaml

from seqmodels.commands.runs.deleting import reason_to_keep
from seqmodels.commands.runs.layout import MAX_WIDTH
from seqmodels.system.locks import occupied
from seqmodels.training.records.metrics import key_metrics
from seqmodels.training.records.reading import read_run
from seqmodels.training.records.spread import spread_of
from tests.conftest import Answer
from tests.run_folders import run_folder

Command = Callable[..., Answer]
STAMP = "2026-11-27_12-49-4{}-123456"
ACCURACY = {("gru", 1): 0.75, ("gru", 2): 0.5, ("elman", 1): 0.875, ("elman", 2): 0.625}
TINY = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "cell.hidden_size=5", "trainer=cpu", "baselines=false"]
ERROR = "[2026-11-27 12:00:00,123][seqmodels][ERROR] - Traceback (most recent call last):\n  File\nValueError: x\n"


@pytest.fixture
def logs(written: Path, tmp_path: Path) -> Path:
    """Two cells with two seeds each, of which the later ones ended later; a failed and an interrupted run."""
    return Path(shutil.copytree(written, tmp_path / "logs"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("logs")
    folder = logs / "digits"
    for number, ((cell, seed), accuracy) in enumerate(ACCURACY.items()):
        metrics: dict[str, float | None] = {
            "best/val/loss": 1 - accuracy,
            "test/loss": 1.5,
            "test/auroc": 0.9,
            "test/accuracy": accuracy,
        }
        metrics |= {"epochs": 20, "best/epoch": 10 + number, "test/f1": None}
        name = f"{STAMP.format(number)}_{cell}-5-seed{seed}"
        overrides = [f"cell={cell}", "cell.hidden_size=5", f"seed={seed}"]
        run_folder(folder / name, *overrides, metrics=metrics, ended=time.time() - 3600 * (4 - number))
    before = time.time() - 3600 * 5
    run_folder(folder / f"{STAMP.format(4)}_failed", "cell=gru", "cell.hidden_size=7", log=ERROR, ended=before)
    run_folder(folder / f"{STAMP.format(5)}_stopped", "cell=gru", "cell.hidden_size=9", ended=before - 3600)
    return logs


def listed(answer: Answer) -> list[dict[str, str]]:
    """Return the rows of a listing as CSV."""
    assert answer.status == 0, answer.err
    return list(csv.DictReader(io.StringIO(answer.out)))


def names(answer: Answer) -> list[str]:
    return [row["run"] for row in listed(answer)]


def test_a_table_has_what_differs_fits_a_line_and_names_the_best(command: Command, logs: Path) -> None:
    done = command("runs")
    assert done.status == 0, done.err
    assert max(map(len, done.out.split("6 runs in")[0].splitlines()[:-1])) <= MAX_WIDTH
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.out.splitlines() if "│" in line]
    header = next(line for line in done.out.splitlines() if line.startswith("┃")).replace("┃", " ").split()
    assert header == ["run", "cell", "hidden_size", "seed", "best/val/loss", "test/accuracy", "age", "state"]
    assert rows[0] == ["elman-5-seed2", "elman", "5", "2", "0.375", "0.625", "1 h", "finished"]
    assert [row[0] for row in rows[-2:]] == ["failed", "stopped"]
    assert [row[-1] for row in rows[-2:]] == ["failed", "interrupted"]
    assert "not shown: epochs, size; format=csv has all" in done.out
    one = command("runs", "where=[cell=elman,seed=1]").out
    assert "┃ run           ┃ cell  ┃ hidden_size ┃ seed ┃" in one, "a single run shows what was typed"
    best = logs / "digits" / f"{STAMP.format(2)}_elman-5-seed1"
    assert f"best by best/val/loss: 0.125, {best.relative_to(logs.parent)}" in done.out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["sort=test/accuracy"], ["elman-5-seed1", "gru-5-seed1", "elman-5-seed2", "gru-5-seed2", "failed", "stopped"]),
        (["sort=best/val/loss", "where=cell=gru"], ["gru-5-seed1", "gru-5-seed2", "failed", "stopped"]),
        (["sort=test/accuracy", "descending=false", "where=test/accuracy>0.7"], ["gru-5-seed1", "elman-5-seed1"]),
        (["where=[cell!=gru,seed>=1]"], ["elman-5-seed2", "elman-5-seed1"]),
        (["where=[hidden_size>=7]", "sort=hidden_size", "descending=true"], ["stopped", "failed"]),
        (["where=[state=finished,optimizer.lr<=4e-3,test/f1=null]", "limit=1"], ["elman-5-seed2"]),
        (["where=[state=finished]", "older=150min"], ["gru-5-seed2", "gru-5-seed1"]),
        (["digits", "where=[test/accuracy>0.8]"], ["elman-5-seed1"]),
    ],
)  # fmt: skip
def test_runs_are_chosen_and_sorted(options: list[str], expected: list[str], command: Command, logs: Path) -> None:
    assert names(command("runs", "format=csv", *options)) == expected


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["digts"], "seqmodels runs digts: there is no such folder"),
        (["digts"], "did you mean 'digits'?"),
        (
            ["sort=test/acuracy"],
            "sort: no run has test/acuracy; did you mean 'test/accuracy'? (metrics: best/val/loss,",
        ),
        (["where=[hiden_size=5]"], "where: no run has hiden_size; did you mean 'hidden_size'?"),
        (["where=[cell]"], "where: 'cell' is no condition"),
        (["where=[monitor=val/loss]"], "monitor may be callbacks.model_checkpoint.monitor or callbacks.early_stopping"),
        (["metrics=[test/accuracyy]"], "metrics: no run has test/accuracyy; did you mean 'test/accuracy'?"),
        (["by=sed"], "by: no run has sed; did you mean 'seed'?"),
        (["cell=gru"], "cell is no option (options: where=, older="),
        (["cell=gru"], "'where=[cell=gru]' chooses runs"),
        (["sorted=age"], "did you mean 'sort'?"),
        (["limit=0"], "limit=0: it must be a whole number of at least 1"),
        (["older=3"], "older=3: it must be a duration such as"),
        (["format=tex"], "format=tex: it must be one of table, csv, json, latex"),
        (["output=runs.txt"], "output=runs.txt: its name must end in .csv, .json, .tex"),
        (["output=nowhere/runs.csv"], "there is no folder nowhere"),
        (["delete", "where=", "yes=true"], "where: there is no condition"),
        (["a", "b"], "takes one name, got a b"),
        (["best:digts"], "there is no folder"),
        (["delete"], "needs runs, where= or older="),
        (["delete", "digits"], "logs/digits is not deleted: it is not the folder of a run; beside where="),
        (["delete", "nothing"], "run=nothing: there is no such folder or file, and no run of this name"),
    ],
)
def test_mistakes_are_named_with_status_2(tokens: list[str], message: str, command: Command, logs: Path) -> None:
    done = command("runs", *tokens)
    assert (done.status, message in done.err) == (2, True), done.err


def test_runs_that_differ_in_the_seed_become_means(command: Command, logs: Path) -> None:
    (one, other) = json.loads(command("runs", "by=seed", "format=json", "sort=test/accuracy").out)
    assert [row["config"]["cell"] for row in (one, other)] == ["elman", "gru"]
    assert "seed" not in one["config"]
    assert len(one["folders"]) == 2
    values = [value for (cell, _), value in ACCURACY.items() if cell == "elman"]
    found = one["metrics"]["test/accuracy"]
    assert found == {"mean": mean(values), "deviation": stdev(values), "runs": 2}
    assert one["metrics"]["test/f1"]["mean"] is None, "a metric that is not a number has no mean"

    text = command("runs", "by=seed", "sort=test/accuracy")
    assert "0.75 ± 0.18" in text.out
    assert "not finished, so in no mean: 2" in text.out
    assert "best by test/accuracy: 0.75 ± 0.18, cell=elman" in text.out

    row = listed(command("runs", "by=seed", "format=csv", "sort=test/accuracy"))[0]
    assert [row[name] for name in ("test/accuracy", "runs")] == ["0.75", "2"]
    assert float(row["test/accuracy_deviation"]) == stdev(values)


def test_latex_is_a_table_of_the_paper(command: Command, logs: Path, tmp_path: Path) -> None:
    done = command("runs", "by=seed", "sort=test/accuracy", "output=table.tex", "metrics=[test/accuracy,test/f1]")
    assert done.out == "2 rows in table.tex\n"
    lines = (tmp_path / "table.tex").read_text().splitlines()
    assert lines[1:] == [
        r"\begin{tabular}{llrrr}",
        r"\toprule",
        r"cell & hidden\_size & test/accuracy & test/f1 & runs \\",
        r"\midrule",
        r"elman & 5 & $0.75 \pm 0.18$ & -- & 2 \\",
        r"gru & 5 & $0.62 \pm 0.18$ & -- & 2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_one_run_is_named_by_its_path(command: Command, logs: Path) -> None:
    runs = {folder.name.partition("_gru")[2]: folder for folder in (logs / "digits").iterdir()}
    assert command("runs", "./logs/digits").out == command("runs", ".").out == command("runs").out
    assert command("runs", "gru-5-seed1").out == f"{runs['-5-seed1']}\n"
    assert command("runs", "latest").out.endswith("elman-5-seed2\n")
    again = shutil.copytree(runs["-5-seed1"], logs / "digits" / f"{STAMP.format(9)}_gru-5-seed1")
    os.utime(again / "metrics.json")
    assert command("runs", "gru-5-seed1").out == f"{again}\n"
    assert {"gru-5-seed1", runs["-5-seed1"].name} < {*names(command("runs", "format=csv"))}, "the older has its path"
    assert "give the path of the one to delete" in command("runs", "delete", "gru-5-seed1").err
    assert command("runs", "best:digits").out.endswith("elman-5-seed1\n")


def test_damaged_files_are_named_and_the_rest_is_listed(command: Command, logs: Path) -> None:
    half, config, *_ = sorted((logs / "digits").iterdir())
    (half / "metrics.json").write_text('{"test/accuracy": 0.')
    (config / "config.yaml").write_text("a: &a [*b\n  c: {")
    (config / ".hydra" / "hydra.yaml").write_bytes(b"\xff\x00")
    done = command("runs")
    assert done.status == 0, done.err
    lines = {line.split()[1]: line for line in done.out.splitlines() if line.startswith("│ ")}
    assert "finished, damaged metrics.json" in lines["gru-5-seed1"]
    rows = {row["run"]: row for row in listed(command("runs", "format=csv", "where=[test/accuracy>0]"))}
    assert rows["gru-5-seed2"]["damaged"] == "config.yaml .hydra/hydra.yaml"
    assert set(rows) == {"gru-5-seed2", "elman-5-seed1", "elman-5-seed2"}
    assert "optimizer.lr" not in rows["gru-5-seed2"], "the others do not differ in it"
    assert command("runs", "best:digits").out.endswith("elman-5-seed1\n")


@pytest.mark.long
def test_what_a_real_run_leaves_is_listed_found_and_deleted(command: Command, tmp_path: Path) -> None:
    done = command("train", "-m", "cell=gru,elman", "seed=1,2", "logger=csv", *TINY)
    assert done.status == 0, done.err
    (multirun,) = (tmp_path / "logs" / "classification").iterdir()
    with (multirun / "comparison.csv").open(newline="") as file:
        jobs = list(csv.DictReader(file))
    values = [float(job["test/loss"]) for job in jobs if job["cell"] == "gru"]
    assert "over seeds: mean ± standard deviation" in done.out
    assert str(spread_of(values)) in done.out

    one = multirun / "1"
    assert command("evaluate", f"run={multirun.name}/1").status == 0
    rows = listed(command("runs", "format=csv"))
    assert {row["folder"] for row in rows} == {str(folder.relative_to(tmp_path)) for folder in multirun.glob("[0-3]")}
    assert {(row["cell"], row["seed"], row["state"]) for row in rows} == {
        (cell, str(seed), "finished") for cell, seed in ACCURACY
    }
    assert {row["epochs"] for row in rows} == {"1"}
    merged = json.loads(command("runs", "by=seed", "format=json").out)
    assert {row["metrics"]["test/loss"]["mean"] for row in merged} >= {mean(values)}

    dry = command("runs", "delete", f"{multirun.name}/1")
    assert dry.status == 0, dry.err
    assert str(one.relative_to(tmp_path)) in dry.out
    assert "nothing is deleted: 1 run, " in dry.out
    assert one.is_dir()
    with occupied(one):
        refused = command("runs", "delete", str(one), "yes=true")
        assert (refused.status, "a process trains in it" in refused.err) == (2, True)
    assert command("runs", "delete", "where=[seed=2]", "yes=true").status == 0
    assert sorted(folder.name for folder in multirun.iterdir() if folder.is_dir()) == ["0", "2"]
    assert (multirun / "comparison.csv").is_file()


def test_only_folders_of_runs_without_other_files_are_deleted(
    command: Command, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, noted, busy, *_ = sorted((logs / "digits").iterdir())
    with occupied(busy):
        done = command("runs", "delete", str(run), str(busy), "yes=true")
        assert (done.status, "a process trains in it" in done.err, run.is_dir()) == (2, True, True)
    (noted / "thesis.tex").touch()
    foreign = run_folder(tmp_path / "foreign")
    for name in ("config.yaml", "environment.json", ".hydra/hydra.yaml"):
        (foreign / name).write_text("trainer: theirs")
    (link := tmp_path / "link").symlink_to(run)
    (outside := tmp_path / "outside").mkdir()
    (outside / "kept").touch()
    (run / "model").symlink_to(outside)
    for folder, reason in (
        (noted, "it holds files that no run writes: thesis.tex"),
        (foreign, "it is not the folder of a run"),
        (link, "it is a symbolic link"),
        (outside, "it is not the folder of a run"),
        (logs, "it is not the folder of a run"),
    ):
        done = command("runs", "delete", str(run), f"{folder}/" if folder != link else str(folder), "yes=true")
        assert (done.status, reason in done.err) == (2, True), done.err
        assert run.is_dir(), "nothing is deleted if anything is refused"
        assert folder.is_dir()
    with monkeypatch.context() as patch:
        patch.chdir(run / "checkpoints")
        assert reason_to_keep(run) == "it is the current folder, or contains it"
    done = command("runs", "delete", "older=30min", "where=[cell=gru]", "yes=true")
    assert f"kept: {noted.relative_to(tmp_path)}: it holds files that no run writes" in done.out
    assert not run.exists()
    assert noted.is_dir()
    assert (outside / "kept").is_file(), "links are not followed"
    assert not [*(logs / "digits").glob(".*")]


def test_trials_are_listed_by_the_folder_of_their_sweep(command: Command, logs: Path) -> None:
    sweep = logs / "digits" / "sweeps" / "today"
    for number in (0, 1):
        run_folder(sweep / "trials" / f"000{number}", f"cell.hidden_size={number + 1}", metrics={"val/loss": number})
    (sweep / "sweep.json").write_text("{}")
    done = command("runs")
    assert "6 runs in" in done.out
    assert "the trials of a sweep: seqmodels runs logs/digits/sweeps/today" in done.out
    assert names(command("runs", "digits/sweeps/today", "format=csv", "sort=val/loss")) == ["0000", "0001"]
    assert command("runs", "best:digits/sweeps/today").out.endswith("trials/0000\n")


def test_the_commands_of_the_page_run(command: Command, logs: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "runs.md").read_text(encoding="utf-8")
    lines = re.findall(r"^seqmodels (runs.*)$", page, flags=re.MULTILINE)
    assert len(lines) == 11
    for line in lines:
        done = command(*shlex.split(line, comments=True))
        assert (done.status, bool(done.out)) == (0, True), (line, done.err)
    assert "elman-5-seed1" not in command("runs").out


def test_no_runs_are_no_error(command: Command) -> None:
    assert command("runs").out == "0 runs in logs\n"
    assert command("runs", "format=json").out == "[]\n"


def test_the_main_metrics_are_those_that_a_run_monitors_and_tests(tmp_path: Path) -> None:
    run = read_run(
        run_folder(tmp_path / "a", metrics={"val/loss": 1, "test/loss": 1, "test/naive_mse": 2, "test/mse": 2})
    )
    assert key_metrics(
        [run._replace(metrics={"val/loss": 1, "test/loss": 1, "test/persistence_mse": 2, "test/mse": 2})]
    ) == [
        "val/loss",
        "test/mse",
    ]
    run.config["callbacks.model_checkpoint.monitor"] = "val/f1"
    metrics: dict[str, float | None] = {"best/val/f1": 1, "val/loss": 1, "test/loss": 1}
    assert key_metrics([run._replace(metrics=metrics)]) == ["best/val/f1", "test/loss"]


def test_a_hundred_runs_are_read_at_once_without_slow_imports(tmp_path: Path) -> None:
    first = run_folder(tmp_path / "logs" / "a" / "000", metrics={"best/val/loss": 0.5, "test/accuracy": 0.5})
    text = (first / "config.yaml").read_text()
    for number in range(1, 100):
        folder = first.with_name(f"{number:03d}")
        shutil.copytree(first, folder)
        (folder / "config.yaml").write_text(text.replace("hidden_size: 128", f"hidden_size: {number}"))
    started = time.perf_counter()
    for path in tmp_path.rglob("*.yaml"):
        yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    reading = time.perf_counter() - started
    code = (
        "import sys, time; from seqmodels.cli import run\n"
        "started = time.perf_counter()\n"
        "assert run(['runs', 'sort=test/accuracy']) == 0\n"
        "print(time.perf_counter() - started)\n"
        "assert not {'torch', 'lightning', 'hydra', 'omegaconf', 'numpy'} & set(sys.modules), 'slow imports'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "100 runs in logs/a" in done.stdout
    assert float(done.stdout.splitlines()[-1]) < 20 * reading, "each file is read once"
