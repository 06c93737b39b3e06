"""Reading of run folders: which folders are runs, what differs between them, their states, means over several."""

import math
from pathlib import Path

import pytest

from seqmodels.system.locks import occupied
from seqmodels.training.records.differences import differing, values_of, worth_showing
from seqmodels.training.records.folders import find_runs, size_of
from seqmodels.training.records.reading import FAILED, FINISHED, INTERRUPTED, RUNNING, read_run
from seqmodels.training.records.spread import spread_of
from tests.run_folders import run_folder

ERROR = "[2026-11-27 12:00:00,123][seqmodels][ERROR] - Traceback (most recent call last):\n  x\n"
RESUMED = "[2026-11-27 13:00:00,123][seqmodels.training.fit][INFO] - resumed\n"


def test_runs_are_found_but_neither_what_is_below_them_nor_trials_nor_links(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path / name, metrics={}) for name in ("a/2/10", "a/2/9", "b")]
    run_folder(runs[0] / "refit")
    (runs[1] / "evaluations" / "later" / "checkpoints").mkdir(parents=True)
    (runs[1] / "evaluations" / "later" / "metrics.json").touch()
    trial = run_folder(tmp_path / "a" / "sweeps" / "one" / "trials" / "0000")
    (sweep := trial.parents[1]).joinpath("sweep.json").touch()
    run_folder(tmp_path / ".b.deleted")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.yaml").touch()
    assert find_runs(tmp_path) == ([runs[1], runs[0], runs[2]], [sweep])
    assert find_runs(sweep).runs == [trial]
    assert find_runs(runs[0]).runs == [runs[0]]
    assert find_runs(tmp_path / "nowhere") == ([], [])


@pytest.mark.parametrize(
    ("log", "metrics", "state"),
    [("", None, INTERRUPTED), (ERROR, None, FAILED), (ERROR + RESUMED, None, INTERRUPTED), (ERROR, {}, FINISHED)],
)
def test_the_state_is_what_files_tell(log: str, metrics: dict[str, float] | None, state: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", log=log, metrics=metrics)
    assert read_run(folder).state == state
    with occupied(folder):
        assert read_run(folder).state == RUNNING


def test_a_run_has_its_epochs_age_and_size(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path / "a", metrics={"test/f1": 0.5, "x": "text"}, ended=1000.0))
    assert (run.epochs, run.best_epoch, run.changed) == (2, None, 1000.0)
    assert run.metrics == {"test/f1": 0.5}
    told = read_run(run_folder(tmp_path / "b", metrics={"epochs": 4.5, "best/epoch": 3}))
    assert (told.epochs, told.best_epoch) == (4.5, 3)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b")
    files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert size_of(tmp_path / "a") == sum(path.lstat().st_size for path in files) + len(str(tmp_path / "b"))


def test_what_differs_is_named_once_and_by_the_keys_that_users_set(tmp_path: Path) -> None:
    commands = [
        ["cell=gru", "seed=1", "data.seed=7", "trainer.num_sanity_val_steps=0", "data.eval_batch_size=3"],
        ["cell=elman", "seed=2", "optimizer.lr=0.1", "trainer.num_sanity_val_steps=1", "threads=1"],
        ["cell=elman", "cell.activation=relu", "seed=2", "paths.data_dir=other", "name=b"],
        ["cell._target_=seqmodels.cells.LSTMCell", "seed=2"],
    ]
    runs = [read_run(run_folder(tmp_path / str(number), *command)) for number, command in enumerate(commands)]
    values = [values_of(run) for run in runs]
    keys = differing(values)
    expected = ["cell", "optimizer.lr", "cell.activation", "data.eval_batch_size", "data.seed", "threads"]
    assert keys == [*expected, "trainer.num_sanity_val_steps", "seed"]
    assert [row["cell"] for row in values] == ["gru", "elman", "elman", "LSTMCell"]
    assert worth_showing(keys, runs, values) == keys, "all of them are typed"
    plain = [run._replace(typed={}) for run in runs]
    assert worth_showing(keys, plain, values) == [
        "cell",
        "optimizer.lr",
        "data.seed",
        "trainer.num_sanity_val_steps",
        "seed",
    ]


def test_a_mean_of_what_is_not_a_number_is_none_either() -> None:
    assert spread_of([1.0, 2.0, 6.0]) == (3.0, math.sqrt(7), 3)
    assert spread_of([4.0]) == (4.0, None, 1)
    nothing = spread_of([1.0, math.nan])
    assert math.isnan(nothing.mean)
    assert str(nothing) == "nan ± nan"


@pytest.mark.parametrize("text", ["a: [", "- 1", "a: &a {b: *a}", "\t", "2: {date: 9999-99-99}"])
def test_a_damaged_configuration_is_named(text: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", metrics={"test/f1": 0.5})
    (folder / "config.yaml").write_text(text)
    run = read_run(folder)
    assert (run.damaged, run.config, run.metrics) == (("config.yaml",), {}, {"test/f1": 0.5})


def test_a_date_is_a_text(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    (folder / "config.yaml").write_text("data: {start: 2020-01-31}")
    assert read_run(folder).config == {"data.start": "2020-01-31"}


def test_endless_aliases_are_a_damage(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    levels = [f"k{n}: &k{n} {{{', '.join(f'{letter}: *k{n - 1}' for letter in 'abcdefghi')}}}" for n in range(1, 12)]
    (folder / "config.yaml").write_text("\n".join(["k0: &k0 {a: 1}", *levels]))
    assert read_run(folder).damaged == ("config.yaml",)
