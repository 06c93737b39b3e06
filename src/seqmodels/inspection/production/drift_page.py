"""``seqmodels explain what=drift``: do new inputs look like those of training?"""

from collections.abc import Iterator, Mapping
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from torch import Tensor

from seqmodels.data.series.forecast_preprocessing import ForecastPreprocessing
from seqmodels.data.statistics import describe_split
from seqmodels.data.statistics.rows import AT_ONCE, ROWS, VALUES, rows_of, sampled
from seqmodels.data.text.vocabulary import Vocabulary
from seqmodels.errors import ConfigError
from seqmodels.inspection.charts import Figure, bars
from seqmodels.inspection.finding import Finding
from seqmodels.inspection.inputs import feature_names, piece
from seqmodels.inspection.production.drift import LEVEL, MODERATE, Shift, shifts
from seqmodels.inspection.report.blocks import Section, Table
from seqmodels.inspection.subject import Rows, Subject
from seqmodels.system.json_text import read_json
from seqmodels.training.finding import run_folder
from seqmodels.training.model_folder import STATISTICS

SHOWN = 12  # features that are drawn


def explain(subject: Subject, rows: Rows, config: DictConfig) -> Finding:  # noqa: ARG001  (it reads more rows)
    """Compare the inputs in a file, or of another split of the data of the run, with those of the training.

    Raises:
        ConfigError: there are no statistics of the training data, which older runs did not keep.
    """
    preprocessing = subject.known_preprocessing
    training = statistics_of(subject, str(config.run))
    new = _new_rows(subject, config) if config.input is not None else sampled(subject.split(config.split))
    found = shifts(training, new)
    numbers = sum(shift.feature.isdigit() for shift in found)
    names = feature_names(preprocessing, numbers)
    if isinstance(preprocessing, ForecastPreprocessing):  # what the calendar says always differs
        columns = len(preprocessing.columns)
        found = [shift for shift in found if not shift.feature.isdigit() or int(shift.feature) < columns]
    titles = {shift.feature: _title(shift, names) for shift in found}
    source = config.input if config.input is not None else f"the {config.split} split"
    figures = {titles[shift.feature]: figure_of(shift, subject.vocabulary) for shift in found[:SHOWN]}
    arrays = {
        "psi": np.array([shift.psi for shift in found]),
        "p_value": np.array([shift.p_value for shift in found]),
        "drifted": np.array([shift.drifted for shift in found]),
        "feature": np.array([titles[shift.feature] for shift in found]),
    }
    sentence = _sentence(found, titles, source, len(new), training["rows"])
    return Finding("Drift of the inputs", sentence, arrays, figures, [_table(found, titles)])


def statistics_of(subject: Subject, run: str) -> dict[str, Any]:
    """Return the statistics of the training data: those in the model folder, else from the data of the run.

    Raises:
        ConfigError: they were not kept and the data are not here.
    """
    folders = [subject.folder / "model"] if subject.folder is not None else []
    folders += [place for place in [run_folder(run)] if place.is_dir()]
    for folder in folders:
        if (folder / STATISTICS).is_file():
            kept: dict[str, Any] = read_json(folder / STATISTICS)
            return kept
    try:
        found = describe_split(subject.split("train"), subject.split("val"), subject.vocabulary)
    except ConfigError as error:
        raise ConfigError(
            f"there is no {STATISTICS} in {' or '.join(map(str, folders)) or run}, which older versions did not "
            f"write, and the training data cannot be read: {error}"
        ) from error
    if found is None:
        raise ConfigError("drift is of batches with inputs, and those of this task have none")
    return found


def _new_rows(subject: Subject, config: DictConfig) -> list[Tensor]:
    """Return the rows of ``input=``, which needs no targets."""
    preprocessing = subject.preprocessing
    records = preprocessing.read(config.input, config.format)
    if isinstance(preprocessing, ForecastPreprocessing):  # an example is the last window alone
        return sampled(preprocessing.labelled(records, ()))
    values = (example.value for example in preprocessing.examples(records) if example.value is not None)
    batches = (preprocessing.collate(part) for part in _parts(values))
    found, size = list[Tensor](), 0
    for row in islice(chain.from_iterable(map(rows_of, batches)), 10 * ROWS):
        found.append(row)
        size += row.numel()
        if size > 10 * VALUES:
            break
    if not found:
        raise ValueError(f"input={config.input} holds no record that can be read")
    return found


def _parts(values: Iterator[Any]) -> Iterator[list[Any]]:
    while part := list(islice(values, AT_ONCE)):
        yield part


def _title(shift: Shift, names: list[str]) -> str:
    if shift.feature.isdigit():
        return names[int(shift.feature)]
    return {"unknown": "tokens that are not in the vocabulary"}.get(shift.feature, shift.feature)


def figure_of(shift: Shift, vocabulary: Vocabulary | None = None) -> Figure:
    """Draw the shares of a feature in training and now, of tokens those that changed most."""
    if shift.kind == "unknown":
        names, chosen = ["known", "unknown"], [0, 1]
    elif shift.kind == "tokens":
        known = [piece(vocabulary, token) if vocabulary else str(token) for token in shift.bins]
        names = [*known, "all others"]
        chosen = np.argsort(-np.abs(shift.now - shift.before))[:20].tolist()
    else:
        edges = [f"{edge:.3g}" for edge in shift.bins]
        names = [f"below {edges[0]}", *(f"{low} to {high}" for low, high in pairwise(edges))]
        names.append(f"from {edges[-1]}")
        chosen = list(range(len(names)))
    heights = {"training": shift.before[chosen], "new": shift.now[chosen]}
    return bars(heights, x=[repr(names[number])[1:-1] for number in chosen], x_title="", y_title="share")


def _table(found: list[Shift], titles: Mapping[str, str]) -> Section:
    rows = [[titles[each.feature], f"{each.psi:.3f}", f"{each.p_value:.2g}", each.size] for each in found]
    return Section("All features", [Table(["feature", "PSI", "p", "shift"], rows)])


def _sentence(found: list[Shift], titles: Mapping[str, str], source: str, new: int, old: int) -> str:
    drifted = [shift for shift in found if shift.drifted]
    compared = f"{new} rows of {Path(source).name} against {old} of the training data"
    rule = f"PSI of at least {MODERATE} and p < {LEVEL} over all features"
    if not drifted:
        chance = f"; the largest index is {found[0].psi:.2f} ({titles[found[0].feature]}), which is small or chance"
        return f"No drift: none of {len(found)} features has moved ({compared}; {rule}){chance}."
    listed = ", ".join(f"{titles[shift.feature]} ({shift.size}, PSI {shift.psi:.2f})" for shift in drifted[:5])
    return f"Drift: {len(drifted)} of {len(found)} features have moved: {listed} ({compared}; {rule})."
