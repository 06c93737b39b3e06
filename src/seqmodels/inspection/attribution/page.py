"""``seqmodels explain what=attribution``."""

from html import escape
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from seqmodels.data.statistics.rows import inputs_of, lengths_of
from seqmodels.errors import ConfigError, nearest
from seqmodels.inspection.attribution.decisions import Choice, attention_weights, decision
from seqmodels.inspection.attribution.marking import marked_series, marked_text
from seqmodels.inspection.attribution.weights import METHODS, weights_of
from seqmodels.inspection.attribution.written import explain_written
from seqmodels.inspection.charts import Figure, heat_map
from seqmodels.inspection.finding import Finding
from seqmodels.inspection.inputs import feature_names, pieces_of, separator
from seqmodels.inspection.report.blocks import Markup, Section
from seqmodels.inspection.subject import Rows, Subject
from seqmodels.tasks import LanguageModeling, Seq2Seq

PICTURES = 4  # series that are drawn


def explain(subject: Subject, given: Rows, config: DictConfig) -> Finding:
    """Return which steps and features the answers for the rows of a batch rest on.

    Raises:
        ConfigError: ``method`` or ``target`` is unknown.
        ValueError: the task has no answer to explain, or contributions do not sum to the difference of the outputs.
    """
    if config.method not in METHODS:
        raise ConfigError(
            f"method must be one of {', '.join(METHODS)}, got {config.method!r}{nearest(config.method, METHODS)}"
        )
    rows = given.batch
    if isinstance(subject.task, Seq2Seq):
        return explain_written(subject.task, rows, config)
    preprocessing, vocabulary = subject.known_preprocessing, subject.vocabulary
    names = list(subject.recipe["class_names"] or ())
    if isinstance(subject.task, LanguageModeling) and vocabulary is not None:
        names = list(vocabulary.tokens)
    found = decision(subject.task, rows, names, Choice(config.step, target_of(config.target, names)))
    weights = weights_of(found, config.method, tokens=not inputs_of(rows).is_floating_point())
    steps, lengths = weights.values.sum(2).numpy(), lengths_of(rows).tolist()
    figures: dict[str, Figure] = {}
    html, best = "", ""
    if inputs_of(rows).is_floating_point():
        features = feature_names(preprocessing, found.inputs.shape[2])
        for row in range(min(len(steps), PICTURES)):
            shown = weights.values[row, : lengths[row]].expand(-1, len(features)).numpy()
            series = inputs_of(rows)[row, : lengths[row]].numpy()
            title = f"row {row}: {found.names[row]}"
            figures[f"Series of {title}"] = marked_series(series, shown, features)
            if len(features) > 1 and weights.values.shape[2] > 1:
                figures[f"Contributions, {title}"] = heat_map(shown.T, y=features, y_title="")
        best = _strongest_steps(weights.values[0, : lengths[0]], features)
    else:
        pieces, space = pieces_of(rows, vocabulary), separator(vocabulary)
        for row, (texts, note) in enumerate(zip(pieces, weights.notes, strict=True)):
            at = found.steps[row] if found.measure.endswith("tag") else None
            html += f"<h3>Row {row}: {escape(found.names[row])}</h3><p>{escape(note)}</p>"
            html += marked_text(texts, steps[row, : lengths[row]].tolist(), space=space, at=at)
        order = np.argsort(-np.abs(steps[0, : lengths[0]]))[:3].tolist()
        best = ", ".join(f"{pieces[0][step]!r} ({steps[0, step]:+.2g})" for step in order)
    html += _attention(subject, rows, pieces_of(rows, vocabulary) if html else None, separator(vocabulary), figures)
    arrays = {"contributions": steps, "lengths": np.asarray(lengths), "steps": np.asarray(found.steps)}
    if weights.values.shape[2] > 1 and inputs_of(rows).is_floating_point():
        arrays["by_feature"] = weights.values.numpy()
    sentence = f"{weights.sentence}. Row 0 ({found.names[0]}) rests most on {best}."
    sections = [Section("", [Markup(html)])] if html else []
    return Finding(f"Attribution: {found.measure}", sentence, arrays, figures, sections)


def target_of(given: Any, names: list[str]) -> int | None:
    """Return the number of the class, tag, token or output that ``target=`` names.

    Raises:
        ConfigError: there is none of this name.
    """
    if given is None or str(given) in names:
        return None if given is None else names.index(str(given))
    if isinstance(given, int):
        return given
    raise ConfigError(f"target={given} is not among the {len(names)} names{nearest(given, names)}")


def _strongest_steps(values: Tensor, features: list[str]) -> str:
    """Name the three strongest contributions ``(time, features)``."""
    order = values.abs().flatten().argsort(descending=True)[:3].tolist()
    parts = []
    for place in order:
        step, feature = divmod(place, values.shape[1])
        name = f"{features[feature]} at step {step}" if values.shape[1] > 1 else f"step {step}"
        parts.append(f"{name} ({float(values[step, feature]):+.2g})")
    return ", ".join(parts)


def _attention(
    subject: Subject, rows: Any, pieces: list[list[str]] | None, space: str, figures: dict[str, Figure]
) -> str:
    """Add the weights of the attention in the network, if it has some, to the figures, or return them as a text."""
    html = ""
    with torch.no_grad():
        found = (
            attention_weights(subject.task.model, lambda: subject.task.model(rows.inputs, rows.lengths))
            if hasattr(rows, "lengths")
            else {}
        )
    for name, weights in found.items():
        if pieces is None:
            figures[f"Attention ({name})"] = heat_map(weights.numpy(), y_title="row")
            continue
        html += f"<h3>Attention ({escape(name)})</h3>"
        for texts, row in zip(pieces, weights.tolist(), strict=True):
            html += marked_text(texts, row[: len(texts)], space=space)
    return html
