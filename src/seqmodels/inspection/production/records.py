"""Losses of single records, with what tells the records apart."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from seqmodels.data.formats.records import Record
from seqmodels.data.loaders import Rows as Split
from seqmodels.data.series.windows import WindowDataset
from seqmodels.data.statistics.rows import AT_ONCE, rows_of
from seqmodels.inspection.subject import Subject
from seqmodels.sequence import length_mask
from seqmodels.tasks import Classification, Forecasting, MultilabelClassification, Regression, Seq2Seq, Tagging, Task

MOST = 20_000  # records

log = logging.getLogger("seqmodels")


class Scored(NamedTuple):
    """How well a model does on each of some records."""

    losses: NDArray[np.float64]  # (n,)
    correct: NDArray[np.float64] | None  # (n,) share of right answers; None for numbers
    attributes: dict[str, list[Any]]  # by name, of each record


def scored(subject: Subject, split: Split[Any], columns: Mapping[str, Sequence[Any]] | None = None) -> Scored:
    """Return the loss of each row of a split, its length and class, and its share of unknown tokens.

    Args:
        subject: the model.
        split: rows with targets, of which the first 20 000 are read.
        columns: further attributes of the rows.

    Raises:
        ValueError: the task is none that this can tell losses of single records of.
    """
    vocabulary = subject.vocabulary
    names, count = list(subject.recipe["class_names"] or ()), min(len(split), MOST)
    losses, correct = list[Tensor](), list[Tensor]()
    attributes: dict[str, list[Any]] = {}
    with torch.inference_mode():
        for part in torch.arange(count).split(AT_ONCE):
            batch = split.__getitems__(part.tolist())
            loss, right = row_losses(subject.task, batch)
            losses.append(loss.double())
            correct += [] if right is None else [right.double()]
            rows = rows_of(batch)
            attributes.setdefault("length", []).extend(map(len, rows))
            if vocabulary is not None and vocabulary.unknown is not None:
                shares = [float((row == vocabulary.unknown).float().mean()) for row in rows]
                attributes.setdefault("share of unknown tokens", []).extend(shares)
            if isinstance(subject.task, Classification) and batch.targets.dim() == 1:
                classes = [names[target] if names else str(target) for target in batch.targets.tolist()]
                attributes.setdefault("class", []).extend(classes)
    if isinstance(split, WindowDataset) and len(split.groups.keys) > 1:
        attributes["group"] = [", ".join(split.groups.keys[row]) for row in split.rows[:count].tolist()]
    for name, values in (columns or {}).items():
        if list(values[:count]) not in attributes.values():  # such as the column of the class
            attributes[name] = list(values[:count])
    return Scored(torch.cat(losses).numpy(), torch.cat(correct).numpy() if correct else None, attributes)


def row_losses(task: Task[Any], batch: Any) -> tuple[Tensor, Tensor | None]:
    """Return the loss of each row of a batch ``(batch,)``, and whether its answer is right, or which share of it.

    Raises:
        ValueError: the task models language or transcribes.
    """
    if isinstance(task, Forecasting):
        params, likelihood = task.params(batch), task.model.likelihood
        rows = zip(params.split(1), batch.targets.split(1), strict=True)
        return torch.stack([likelihood.loss(one, other) for one, other in rows]), None
    if isinstance(task, Tagging):
        scores = task.model(batch.inputs, batch.lengths)
        losses = task.model.tags.losses(scores, batch.targets, batch.lengths) / batch.lengths
        right = task.model.tags.best(scores, batch.lengths) == batch.targets
        return losses, _mean_over_steps(right.double(), batch.lengths)
    if isinstance(task, Seq2Seq):  # nats per token of the target
        log_probs, targets = task.log_probs(batch)
        return _mean_over_steps(-log_probs.gather(-1, targets[..., None])[..., 0], batch.target_lengths), None
    if not isinstance(task, Classification | MultilabelClassification | Regression):
        raise ValueError(
            f"slices are of records with a loss each (classification, multilabel, regression, forecasting, tagging, "
            f"seq2seq), {type(task).__name__} has none"
        )
    outputs, targets = task.model(batch.inputs, batch.lengths), batch.targets
    losses, correct = _losses(task, outputs, targets)
    if not batch.stepwise:
        return losses, correct
    return _mean_over_steps(losses, batch.lengths), (
        None if correct is None else _mean_over_steps(correct, batch.lengths)
    )


def _losses(task: Task[Any], outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return losses and right answers ``(batch,)``, or ``(batch, time)``."""
    if isinstance(task, Classification):
        losses = F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none").view_as(targets)
        return losses, (outputs.argmax(-1) == targets).double()
    if isinstance(task, MultilabelClassification):
        losses = F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").sum(-1)
        return losses, ((outputs.sigmoid() >= task.threshold) == (targets > 0.5)).double().mean(-1)
    return (outputs - targets).square().mean(-1), None


def _mean_over_steps(values: Tensor, lengths: Tensor) -> Tensor:
    real = length_mask(lengths, values.shape[1])
    return torch.where(real, values, 0).sum(1) / lengths


def records_of(subject: Subject, path: str, format: str | None) -> tuple[Split[Any], dict[str, list[Any]]]:
    """Return the records of a file with their targets as a split, and the columns of the file.

    A record that cannot be read is left out and counted.

    Raises:
        ValueError: no record can be read, or rows of the split are not records of the file.
    """
    preprocessing = subject.preprocessing
    records = list(preprocessing.read(path, format))
    if subject.task.needs == "forecasting":
        split: Any = preprocessing.labelled(records, ())
        return split, {}
    kept: list[Record] = []
    for record in records:
        example = next(iter(preprocessing.examples([record])))
        kept += [record] if example.value is not None else []
    if not kept:
        raise ValueError(f"input={path} holds no record that can be read")
    if len(kept) < len(records):
        log.warning("%d of %d records cannot be read and are left out", len(records) - len(kept), len(records))
    split = preprocessing.labelled(kept, subject.recipe["class_names"] or ())
    if not isinstance(split, Split) or len(split) != len(kept):
        raise ValueError(f"input={path}: {len(kept)} records make {len(split)} rows, which have no columns of a record")
    names = dict.fromkeys(name for record in kept for name in record.fields)
    columns = {name: [record.fields.get(name) for record in kept] for name in names}
    plain = {name: values for name, values in columns.items() if not any(map(_is_nested, values))}
    return split, plain


def _is_nested(value: Any) -> bool:
    return isinstance(value, list | dict | tuple)
