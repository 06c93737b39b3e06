"""``seqmodels explain what=slices``."""

import numpy as np
from omegaconf import DictConfig

from seqmodels.data.loaders import Rows as RowSplit
from seqmodels.errors import ConfigError, nearest
from seqmodels.inspection.charts import Figure
from seqmodels.inspection.finding import Finding
from seqmodels.inspection.production.records import Scored, records_of, scored
from seqmodels.inspection.production.slices import LEAST, Slice, metrics_by, slices
from seqmodels.inspection.report.blocks import Section, Table
from seqmodels.inspection.subject import Rows, Subject

SHOWN = 20


def explain(subject: Subject, rows: Rows, config: DictConfig) -> Finding:  # noqa: ARG001  (it reads more rows)
    """Return on which records the model is worst; with ``by=``, its metrics for each value of a column.

    Raises:
        ConfigError: there is no such column.
    """
    if config.input is not None:
        split, columns = records_of(subject, str(config.input), config.format)
        found, source = scored(subject, split, columns), str(config.input)
    else:
        own = subject.split(config.split)
        if not isinstance(own, RowSplit):
            raise ConfigError(f"slices are of records, and the {config.split} split is a text: name a file with input=")
        found, source = scored(subject, own), f"the {config.split} split"
    if config.by is not None:
        return _by_column(found, str(config.by), source, given=config.input is not None)
    worst = slices(found.losses, found.attributes, found.correct)
    if not worst:
        sentence = f"No slice: {len(found.losses)} records of {source}, in groups of at least {LEAST}, tell none apart."
    else:
        first, count = worst[0], sum(each.significant for each in worst)
        sentence = (
            f"{count} of {len(worst)} slices of {len(found.losses)} records of {source} are worse than the rest; the "
            f"worst is {first.attribute} = {first.value!r}: {_said(first, found)} on {first.rows} records."
        )
    figures = {"Slices with the highest loss": figure_of(worst[:SHOWN])} if worst else {}
    return Finding("Slices", sentence, _arrays(worst), figures, [_table(worst[:SHOWN])])


def _by_column(found: Scored, by: str, source: str, *, given: bool) -> Finding:
    if by not in found.attributes:
        hint = "" if given else ", and columns of a file with input=FILE"
        known = ", ".join(found.attributes)
        raise ConfigError(f"by={by} is no column of {source}{nearest(by, found.attributes)} (there are {known}{hint})")
    groups = metrics_by(found.losses, found.attributes[by], found.correct)
    if not groups:
        raise ConfigError(f"by={by} has no value in {source}")
    worst = max(groups, key=lambda group: group.loss)
    sentence = (
        f"{by} has {len(groups)} groups among {len(found.losses)} records of {source}; the worst is "
        f"{worst.value!r}: {_said(worst, found)} on {worst.rows} records."
    )
    groups = [group._replace(attribute=by) for group in groups]
    shown = sorted(groups, key=lambda group: -group.loss)[:SHOWN]
    return Finding(f"Metrics by {by}", sentence, _arrays(groups), {f"Loss by {by}": figure_of(shown)}, [_table(groups)])


def _said(each: Slice, found: Scored) -> str:
    text = f"a loss of {each.loss:.3g} against {each.others:.3g} elsewhere"
    if found.correct is not None:
        text += f", an accuracy of {each.accuracy:.1%} against {found.correct.mean():.1%} over all"
    return text


def _arrays(found: list[Slice]) -> dict[str, np.ndarray]:
    return {name: np.array([getattr(each, name) for each in found]) for name in Slice._fields}


def figure_of(found: list[Slice]) -> Figure:
    """Draw the loss of each slice with two standard errors, and that of all other records."""
    names = [f"{each.attribute} = {each.value} ({each.rows})" for each in found]
    bars = {
        "type": "scatter",
        "mode": "markers",
        "name": "slice",
        "x": [each.loss for each in found],
        "y": names,
        "error_x": {"type": "data", "array": [2 * each.error for each in found]},
    }
    others = {**bars, "name": "all others", "x": [each.others for each in found], "marker": {"symbol": "line-ns-open"}}
    del others["error_x"]
    layout = {
        "xaxis": {"title": {"text": "mean loss"}},
        "yaxis": {"autorange": "reversed", "automargin": True},
        "height": 150 + 24 * len(found),
    }
    return {"data": [bars, others], "layout": layout}


def _table(found: list[Slice]) -> Section:
    rows = [
        [
            each.attribute,
            each.value,
            str(each.rows),
            f"{each.loss:.4g}",
            f"{each.others:.4g}",
            "" if np.isnan(each.accuracy) else f"{each.accuracy:.1%}",
            "worse" if each.significant else "",
        ]
        for each in found
    ]
    head = ["attribute", "value", "records", "loss", "of all others", "accuracy", "test"]
    return Section("", [Table(head, rows, left=2)] if rows else [])
