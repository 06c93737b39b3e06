"""A sweep runs every trial exactly once, whatever fails, is killed or is restarted."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Mapping
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from seqmodels.errors import ConfigError
from seqmodels.sweeping.driver import DEFAULT, folder_of, ranked
from seqmodels.sweeping.results import best_of, confirmed, write_trials
from seqmodels.sweeping.study import load_sweep, quiet_optuna
from seqmodels.sweeping.watch import Watch
from seqmodels.sweeping.worker import RERUN_AS, counted, failed
from tests.sweeping.small import SPACE, formula, read, sweep

STORAGES = ["sqlite", "journal", pytest.param("postgresql", marks=pytest.mark.postgresql)]


def trials_of(folder: Path, storage: str | None = None) -> list[FrozenTrial]:
    with quiet_optuna():
        return load_sweep(folder, storage)[0].get_trials()


def test_a_sweep_finds_the_minimum_and_its_trials_are_told_apart(tmp_path: Path) -> None:
    study, _ = sweep(tmp_path, trials=25).run()
    assert study.best_value < 0.6
    assert {trial.params["cell"] for trial in study.trials} == {"lstm", "gru"}
    assert all((tmp_path / folder_of(trial.number)).is_dir() for trial in study.trials)
    write_trials(tmp_path / "trials.csv", study)
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 26


@pytest.mark.parametrize("storage", STORAGES, indirect=True)
def test_a_continued_sweep_draws_the_trials_of_one_that_was_never_interrupted(storage: str, tmp_path: Path) -> None:
    whole, _ = sweep(tmp_path / "a", storage=storage, trials=12).run()
    for number in (3, 11, 12):
        parts, _ = sweep(tmp_path / "b", storage=storage, trials=number).run()
        assert len(parts.trials) == number
    assert [trial.params for trial in parts.trials] == [trial.params for trial in whole.trials]


def test_failures_and_nans_are_recorded_with_their_cause_and_end_nothing(tmp_path: Path) -> None:
    def train(overrides: list[str], folder: Path, watch: Watch) -> Mapping[str, float]:
        number = int(folder.name)
        if number == 1:
            raise RuntimeError("planted\nsecond line")
        if number == 2:
            watch.update({"val/loss": float("nan")}, 1)
        if number == 3:
            raise ConfigError("cell.hidden_size is odd")
        return formula(overrides, folder, watch)

    study, _ = sweep(tmp_path, train).run()
    causes = {trial.number: trial.user_attrs.get("cause") for trial in failed(study.trials)}
    assert causes == {
        1: "RuntimeError: planted",
        2: "FloatingPointError: val/loss was nan at validation 1",
        3: "cell.hidden_size is odd",
    }
    assert len(counted(study.trials)) == 7


def test_a_trial_behind_the_others_is_pruned_and_says_when(tmp_path: Path) -> None:
    def train(overrides: list[str], folder: Path, watch: Watch) -> Mapping[str, float]:
        for step in range(1, 4):
            watch.update({"val/loss": float(folder.name)}, step)
        return {"val/loss": 0.0}

    pruner = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 2, "n_warmup_steps": 1}
    study, _ = sweep(tmp_path, train, trials=5, pruner=pruner).run()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2 + [TrialState.PRUNED] * 3
    assert study.trials[4].user_attrs["cause"] == "val/loss was 4 at validation 2, behind other trials"
    assert not failed(study.trials)


def test_of_validation_the_best_counts_and_the_last_of_anything_else(tmp_path: Path) -> None:
    def train(overrides: list[str], folder: Path, watch: Watch) -> Mapping[str, float]:
        for step, value in enumerate((0.4, 0.9, 0.7)):
            watch.update({"val/accuracy": value}, step)
        return {"val/accuracy": 0.7, "seconds": 5.0}

    study, _ = sweep(tmp_path, train, trials=1, minimize=["seconds"], maximize=["val/accuracy"]).run()
    assert study.trials[0].values == [5.0, 0.9]
    assert study.metric_names == ["seconds", "val/accuracy"]


def test_an_objective_that_nothing_measures_ends_the_sweep_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run has the metric 'val/los'; did you mean 'val/loss'"):
        sweep(tmp_path, minimize=["val/los"]).run()


def test_a_grid_runs_every_point_once_over_all_commands(tmp_path: Path) -> None:
    space = {"x": [0, 1, 2], "cell": ["lstm", "gru"]}
    for trials in (4, None, None):
        study, _ = sweep(tmp_path, space=space, grid=True, trials=trials).run()
    points = [tuple(trial.params.values()) for trial in study.trials]
    assert sorted(points) == [(x, cell) for x in (0, 1, 2) for cell in ("gru", "lstm")]
    assert study.best_params == {"x": 1, "cell": "gru"}


def test_a_plateau_and_a_time_limit_end_a_sweep(tmp_path: Path) -> None:
    def train(overrides: list[str], folder: Path, watch: Watch) -> Mapping[str, float]:
        return {"val/loss": {"0000": 3.0, "0001": 2.0}.get(folder.name, 2.5)}

    study, _ = sweep(tmp_path / "a", train, trials=30, plateau=4).run()
    assert len(study.trials) == 6
    study, _ = sweep(tmp_path / "b", timeout=1e-9).run()
    assert not study.trials


def test_a_folder_keeps_to_its_space_and_objectives(tmp_path: Path) -> None:
    sweep(tmp_path, trials=1).run()
    with pytest.raises(ConfigError, match=r"holds a sweep with other space"):
        sweep(tmp_path, space={**SPACE, "x": [1]}).run()
    with pytest.raises(ConfigError, match=r"holds a sweep with other objectives"):
        sweep(tmp_path, maximize=["val/accuracy"]).run()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trials": 0}, r"sweep\.trials must be a whole number of at least 1, got 0"),
        ({"trials": None}, r"sweep\.trials"),
        ({"timeout": -1}, r"sweep\.timeout"),
        ({"minimize": []}, r"must name a metric"),
        ({"maximize": ["val/loss"]}, r"val/loss is named twice"),
        ({"storage": "mysqlite"}, r"must be sqlite, journal or the URL of a database, got 'mysqlite'"),
        ({"storage": "postgresql+nodriver://u@h/d"}, r"the database cannot be opened"),
        ({"sampler": {"_target_": "os.system"}}, "not on the list"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep(tmp_path, **settings).run()


def test_an_interrupted_trial_runs_again(tmp_path: Path) -> None:
    def train(overrides: list[str], folder: Path, watch: Watch) -> Mapping[str, float]:
        if folder.name == "0001":
            raise KeyboardInterrupt
        return formula(overrides, folder, watch)

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, train).run()
    study, _ = sweep(tmp_path).run()
    assert study.trials[1].user_attrs[RERUN_AS] == 2
    assert study.trials[2].params == study.trials[1].params
    assert len(counted(study.trials)) == 7
    assert not failed(study.trials)


def in_process(function: Any, *arguments: Any) -> BaseProcess:
    """Fork this process, which avoids the cost of imports."""
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    return process


def wait_for(workers: list[BaseProcess]) -> None:
    """Wait for processes in the order in which they end: one that nobody has waited for still counts as there."""
    running: dict[Any, BaseProcess] = {worker.sentinel: worker for worker in workers}
    while running and (ended := connection.wait(list(running), 600)):
        for sentinel in ended:
            running.pop(sentinel).join()


def run(folder: Path, storage: str, trials: int) -> None:
    """Run a worker of the accounting test: some trials fail, some are NaN, some kill their worker."""

    def train(overrides: list[str], place: Path, watch: Watch) -> Mapping[str, float]:
        number = int(place.name)
        if number in (4, 11, 17, 23, 31):
            raise RuntimeError("planted")
        if number in (6, 13, 20):
            return {"val/loss": float("nan")}
        if number in (9, 26):
            os.kill(os.getpid(), signal.SIGKILL)
        return formula(overrides, place, watch)

    random = {"_target_": "optuna.samplers.RandomSampler"}  # the others take their time, and count no better
    sweep(folder, train, storage=storage, trials=trials, sampler=random).run()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("storage", STORAGES, indirect=True)
def test_forty_trials_of_three_processes_are_all_accounted_for_once(storage: str, tmp_path: Path) -> None:
    """Five failures, three NaNs, two killed processes, and a second run of the command."""
    for trials in (25, 40):
        workers = [in_process(run, tmp_path, storage, trials) for _ in range(3)]
        wait_for(workers)
        assert Counter(worker.exitcode for worker in workers) == {-signal.SIGKILL: 1, 0: 2}
    trials_there = trials_of(tmp_path, storage)
    lost = [trial for trial in trials_there if RERUN_AS in trial.user_attrs]
    assert [trial.number for trial in lost] == [9, 26]
    assert all(trials_there[trial.user_attrs[RERUN_AS]].params == trial.params for trial in lost)
    assert len(trials_there) == 42
    states = Counter(trial.state for trial in counted(trials_there))
    assert states == {TrialState.COMPLETE: 32, TrialState.FAIL: 8}
    assert [trial.number for trial in failed(trials_there)] == [4, 6, 11, 13, 17, 20, 23, 31]
    assert all(trial.user_attrs["cause"] for trial in failed(trials_there))
    assert len(list((tmp_path / "trials").iterdir())) == 42 - 10, "each complete trial has its own folder"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_trial_that_is_lost_too_often_has_failed(tmp_path: Path) -> None:
    def kill(overrides: list[str], folder: Path, watch: Watch) -> Mapping[str, float]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    for _ in range(3):
        in_process(sweep(tmp_path, kill, trials=1).run).join(600)
    study, _ = sweep(tmp_path, trials=1).run()
    assert len(study.trials) == 3
    (trial,) = failed(study.trials)
    assert trial.user_attrs["cause"] == "its process was lost 3 times"


def test_the_best_are_trained_with_further_seeds_beside_the_default(tmp_path: Path) -> None:
    for _ in range(2):  # the second command finds all done
        study, confirmation = sweep(tmp_path, trials=6, confirm_seeds=3).run()
        assert confirmation is not None
        assert len(confirmation.trials) == 3 * (1 + 2)
    assert confirmation is not None
    spreads = confirmed(confirmation)
    first, second = ranked(study)[:2]
    assert set(spreads) == {DEFAULT, first.number, second.number}
    by_hand = (float(first.params["x"]) - 1) ** 2 + (first.params["cell"] == "lstm") + 0.03
    assert spreads[first.number]["test/loss"].mean == pytest.approx(by_hand)  # of the seeds 2, 3, 4
    assert spreads[first.number]["test/loss"].deviation == pytest.approx(0.01)
    assert {int(read([f"seed={t.params['seed']}"])["seed"]) for t in confirmation.trials} == {2, 3, 4}
    assert best_of(study, confirmation) is not None


def test_what_is_best_is_decided_by_the_further_seeds(tmp_path: Path) -> None:
    def train(overrides: list[str], folder: Path, watch: Watch) -> Mapping[str, float]:
        given = read(overrides)
        lucky = "seed" not in given and given.get("x") == "1"
        return {"val/loss": 0.0 if lucky else abs(float(given.get("x", 9)) - 2)}

    study, confirmation = sweep(tmp_path, train, space={"x": [1, 2, 3]}, grid=True, trials=None, confirm_seeds=1).run()
    assert study.trials[0].value == 0.0 == study.trials[1].value
    best = best_of(study, confirmation)
    assert best is not None
    assert best.params == {"x": 2}
