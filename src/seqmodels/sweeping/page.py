"""The HTML page of a sweep: tables and optuna's plots in one self-contained file."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import optuna.visualization as plots
from optuna import Study
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import StudyDirection

from seqmodels.sweeping.driver import ranked
from seqmodels.sweeping.results import complete_of, confirmed, header, label, row
from seqmodels.system.durable import write_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }
td, th { padding: .2em .7em; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
pre { background: #f4f4f4; padding: .7em; overflow-x: auto; }
.plot { overflow-x: auto; }
"""


POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; img-src data: blob:; font-src data:\">"
)  # the page is self-contained and must not load anything


def write_page(path: Path, title: str, study: Study, confirmation: Study | None, command: str) -> None:
    """Write the page of a study; ``command`` trains its best trial."""
    trials = study.get_trials(deepcopy=False)
    parts = [f"<h1>{escape(title)}</h1>", f"<p>Train the best trial:</p><pre>{escape(command)}</pre>"]
    parts += ["<h2>Best trials</h2>", _table(header(study), [row(study, trial) for trial in ranked(study)[:10]])]
    if confirmation is not None and (spreads := confirmed(confirmation)):
        names = ["trial", *next(iter(spreads.values())), "seeds"]
        rows = [[label(number), *map(str, s.values()), next(iter(s.values())).runs] for number, s in spreads.items()]
        parts += ["<h2>With further seeds: mean ± standard deviation</h2>", _table(names, rows)]
    for number, (name, figure) in enumerate(_figures(study)):
        parts.append(f"<h2>{escape(name)}</h2>")
        plot = figure.to_html(full_html=False, include_plotlyjs=number == 0)
        parts.append(f'<div class="plot">{plot}</div>')
    parts += ["<h2>All trials</h2>", _table(header(study), [row(study, trial) for trial in trials])]
    head = f'<meta charset="utf-8">{POLICY}<title>{escape(title)}</title>'
    page = f'<!DOCTYPE html>\n<html lang="en"><head>{head}'
    write_text(path, f"{page}<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n")


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


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(format_cell(value))}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def format_cell(value: Any) -> str:
    """Return a cell of a table as text."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
