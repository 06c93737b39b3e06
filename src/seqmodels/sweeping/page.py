"""The HTML page of a sweep: tables and optuna's plots in one self-contained file."""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna.visualization as plots
from optuna import Study
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import StudyDirection

from seqmodels.inspection.report import page as report
from seqmodels.inspection.report.blocks import Figure, Page, Section, Table, Text
from seqmodels.sweeping.driver import ranked
from seqmodels.sweeping.results import complete_of, confirmed, header, label, row

HEIGHT = 420  # pixels of a plot


def write_page(path: Path, title: str, study: Study, confirmation: Study | None, command: str) -> None:
    """Write the page of a study; ``command`` trains its best trial."""
    trials = study.get_trials(deepcopy=False)
    sections = [
        Section(
            "Best trials",
            [Text(command, code=True), _table(header(study), [row(study, trial) for trial in ranked(study)[:10]])],
        )
    ]
    if confirmation is not None and (spreads := confirmed(confirmation)):
        names = ["trial", *next(iter(spreads.values())), "seeds"]
        rows = [[label(number), *map(str, s.values()), next(iter(s.values())).runs] for number, s in spreads.items()]
        sections.append(Section("With further seeds", [_table(names, rows, "Mean ± standard deviation")]))
    for number, (name, figure) in enumerate(_figures(study), start=1):
        drawn = json.loads(figure.to_json())
        drawn["layout"].pop("template", None)  # the page has colours of its own
        drawn["layout"].pop("title", None)
        sections.append(Section(name, [Figure(f"plot_{number}", drawn["data"], drawn["layout"], HEIGHT)]))
    sections.append(Section("All trials", [_table(header(study), [row(study, trial) for trial in trials])]))
    report.write_page(path, Page(title, f"{len(trials)} trials", [], sections))


def _figures(study: Study) -> Iterator[tuple[str, Any]]:
    """Yield the plots that the trials of a study permit, with their titles."""
    complete = complete_of(study)
    names = study.metric_names or []
    if not complete:
        return
    if len(names) > 1:
        if len(names) <= 3:
            yield "Pareto front", plots.plot_pareto_front(study, target_names=names)
    elif any(trial.intermediate_values for trial in study.get_trials(deepcopy=False)):
        yield "Validation of every trial", plots.plot_intermediate_values(study)
    varied = len({tuple(trial.params.items()) for trial in complete}) > 1
    for index, name in enumerate(names):
        options: dict[str, Any] = {"target_name": name}
        if len(names) > 1:
            options["target"] = _value(index)
        yield f"History of {name}", plots.plot_optimization_history(study, **options)
        if varied and (figure := _importances(study, index, options)):
            yield f"Importance for {name}", figure
        yield f"Parallel coordinates of {name}", plots.plot_parallel_coordinate(study, **options)
        yield f"Slices of {name}", plots.plot_slice(study, **options)
    yield "When the trials ran", plots.plot_timeline(study)


def _importances(study: Study, index: int, options: dict[str, Any]) -> Any:
    """Return the plot of parameter importances for an objective, or None if all trials are as good as the best.

    The evaluator minimises a custom target, so that of an objective to maximise is negated.
    """
    if "target" in options and study.directions[index] == StudyDirection.MAXIMIZE:
        options = {**options, "target": _value(index, -1)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")
        warnings.filterwarnings("error", message="Target and region quantiles select the same")
        try:
            return plots.plot_param_importances(study, evaluator=PedAnovaImportanceEvaluator(), **options)
        except UserWarning:
            return None


def _value(index: int, sign: int = 1) -> Callable[[Any], float]:
    return lambda trial: sign * trial.values[index]


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> Table:
    return Table(names, [[format_cell(value) for value in row] for row in rows], left=len(names), caption=caption)


def format_cell(value: Any) -> str:
    """Return a cell of a table as text."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
