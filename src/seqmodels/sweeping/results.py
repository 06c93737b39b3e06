"""Results of a sweep: its trials as table rows, and the best trials over further seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial

from seqmodels.sweeping.driver import DEFAULT, folder_of, ranked
from seqmodels.sweeping.worker import RERUN_AS
from seqmodels.system.durable import write_csv
from seqmodels.training.records.spread import Spread, spread_of


def header(study: Study) -> list[str]:
    """Return the column names of :func:`row`."""
    return ["trial", *(study.metric_names or []), *parameters(study), "duration_s", "state", "cause", "folder"]


def row(study: Study, trial: FrozenTrial) -> list[Any]:
    """Return a trial as a row of a table, with None for missing values."""
    names = study.metric_names or []
    values = trial.values if trial.state.name == "COMPLETE" and trial.values else [None] * len(names)
    notes = trial.user_attrs
    state = "runs again" if RERUN_AS in notes and trial.state.is_finished() else trial.state.name.lower()
    seconds = round(trial.duration.total_seconds(), 2) if trial.duration else None
    chosen = [trial.params.get(key) for key in parameters(study)]
    return [trial.number, *values, *chosen, seconds, state, notes.get("cause"), folder_of(trial.number)]


def parameters(study: Study) -> list[str]:
    """Return the keys that the trials of a study vary."""
    return list(dict.fromkeys(key for trial in study.get_trials(deepcopy=False) for key in trial.params))


def write_trials(path: Path, study: Study) -> None:
    """Write every trial of a study as a row of a CSV file, with the cause of failed ones."""
    write_csv(path, header(study), [row(study, trial) for trial in study.get_trials(deepcopy=False)])


def confirmed(confirmation: Study) -> dict[int, dict[str, Spread]]:
    """Return the objectives and test metrics over the further seeds of each confirmed trial.

    The key is the number of the trial, or -1 for the configuration without the overrides of the sweep.
    """
    runs: dict[int, list[dict[str, float]]] = {}
    names = confirmation.metric_names or []
    for trial in complete_of(confirmation):
        tested = {k: v for k, v in trial.user_attrs["metrics"].items() if k.startswith("test/")}
        runs.setdefault(trial.params["trial"], []).append({**tested, **dict(zip(names, trial.values, strict=True))})
    return {number: _spreads(metrics, names) for number, metrics in sorted(runs.items())}


def complete_of(study: Study) -> list[FrozenTrial]:
    """Return the complete trials in order of their numbers."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]


def best_of(study: Study, confirmation: Study | None) -> FrozenTrial | None:
    """Return the best trial by the first objective, or by its mean over further seeds if there are any."""
    trials = ranked(study)
    spreads = confirmed(confirmation) if confirmation is not None else {}
    candidates = [trial for trial in trials if trial.number in spreads]
    if not candidates:
        return trials[0] if trials else None
    name = (study.metric_names or [""])[0]
    sign = 1 if study.directions[0].name == "MINIMIZE" else -1
    return min(candidates, key=lambda trial: sign * spreads[trial.number][name].mean)


def label(number: int) -> str:
    """Return the label of a row of :func:`confirmed`."""
    return "default" if number == DEFAULT else str(number)


def _spreads(runs: Sequence[Mapping[str, float]], first: Sequence[str]) -> dict[str, Spread]:
    names = [*first, *sorted(name for name in runs[0] if name not in first)]
    columns = {name: [run[name] for run in runs if name in run] for name in names}
    return {name: spread_of(values) for name, values in columns.items()}
