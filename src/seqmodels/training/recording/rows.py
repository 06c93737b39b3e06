"""The rows that a model got most wrong, and predictions beside their targets."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqmodels.config.build import build
from seqmodels.data.batch import SequenceBatch
from seqmodels.data.tagging.batch import TagBatch
from seqmodels.tasks import Classification, MultilabelClassification, Regression, Tagging, Task
from seqmodels.training.recording.inputs import shortened, shown_input

POINTS, OUTPUTS = 300, 4  # rows and outputs that are drawn of a regression
AT_ONCE = 50
ANSWERS = 100  # steps of which the answers are shown
MOST_PROBABLE = 5

Found = dict[str, Any]


def wrong_rows(
    task: Task[Any], split: Any, worst: Sequence[tuple[float, int]], recipe: Mapping[str, Any]
) -> list[Found]:
    """Return rows of a split with their inputs, targets and predictions; of a classification those that are wrong.

    Args:
        task: the task.
        split: the split that was tested.
        worst: losses and numbers of its rows.
        recipe: that of the model.
    """
    names, node = list(recipe["class_names"]), recipe.get("preprocessing")
    rows = [row for _, row in worst]
    batch = split.__getitems__(rows)
    predicted = task.records(task.transfer_batch_to_device(batch, task.device, 0), names)
    preprocessing = build(node) if node is not None else None
    found = []
    for index, ((loss, row), (prediction, *_)) in enumerate(zip(worst, predicted, strict=True)):
        target = _target(task, batch, index, names)
        answer = _answer(prediction)
        if isinstance(task, Classification) and target == answer:
            continue
        entry = {"row": row, "loss": loss, "target": _bounded(target), "prediction": _bounded(answer)}
        if isinstance(batch, TagBatch):
            entry["input"] = {"tokens": split.words(row)[:ANSWERS]}
        else:
            entry["input"] = shown_input(batch.inputs[index, : int(batch.lengths[index])], preprocessing)
        if isinstance(probabilities := prediction.get("probabilities"), dict) and not _stepwise(batch):
            entry["probabilities"] = dict(sorted(probabilities.items(), key=lambda pair: -pair[1])[:MOST_PROBABLE])
        found.append(entry)
    return found


def points(task: Regression, split: Any) -> list[Found]:
    """Return targets and predictions of evenly spaced rows (or of their last steps) for each output."""
    rows = torch.linspace(0, len(split) - 1, min(POINTS, len(split))).long().tolist()
    pairs: list[tuple[Tensor, Tensor]] = []
    for first in range(0, len(rows), AT_ONCE):
        batch = split.__getitems__(rows[first : first + AT_ONCE])
        values = task.predict_step(task.transfer_batch_to_device(batch, task.device, 0)).cpu().double()
        targets = _in_units(task, batch.targets)
        if batch.stepwise:
            last = torch.arange(len(values)), batch.lengths - 1
            values, targets = values[last], targets[last]
        pairs.append((targets, values))
    targets, values = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    names = list(task.predictor.target_names) or [f"output {index + 1}" for index in range(values.shape[1])]
    return [
        {"name": name, "targets": targets[:, index].tolist(), "predictions": values[:, index].tolist()}
        for index, name in enumerate(names[:OUTPUTS])
    ]


def _target(task: Task[Any], batch: Any, index: int, names: Sequence[str]) -> Any:
    """Return the target of a row of a batch as a prediction would write it."""
    values = batch.targets[index]
    if isinstance(task, Tagging):
        return [task.tag_names[tag] for tag in values[: int(batch.lengths[index])].tolist()]
    if _stepwise(batch):
        values = values[: int(batch.lengths[index])]
    if isinstance(task, Regression):
        values = _in_units(task, values)
        target_names = task.predictor.target_names
        if target_names and values.dim() == 1:
            return dict(zip(target_names, values.tolist(), strict=True))
        return values.tolist()
    named = names or [str(number) for number in range(getattr(task, "output_size", 0))]
    if isinstance(task, MultilabelClassification):
        rows = values if values.dim() == 2 else values[None]
        labels = [[name for name, value in zip(named, row, strict=True) if value > 0] for row in rows.tolist()]
        return labels if values.dim() == 2 else labels[0]
    return named[int(values)] if values.dim() == 0 else [named[number] for number in values.tolist()]


def _in_units(task: Regression, values: Tensor) -> Tensor:
    return task.predictor.in_units(values).cpu().double()


def _answer(prediction: Mapping[str, Any]) -> Any:
    return next(value for name, value in prediction.items() if name != "probabilities")


def _stepwise(batch: Any) -> bool:
    return isinstance(batch, SequenceBatch) and batch.stepwise


def _bounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_bounded(inner) for inner in value[:ANSWERS]]
    return shortened(value) if isinstance(value, str) else value
