"""A bounded choice of what a model made of test data: its worst errors, forecasts, texts and samples."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import distributed

from seqmodels.data.loaders import SequenceLoader
from seqmodels.tasks import (
    Classification,
    Forecasting,
    LanguageModeling,
    MultilabelClassification,
    Regression,
    Tagging,
    Task,
)
from seqmodels.tasks.texts.text_task import TextTask
from seqmodels.training.recording.counts import confusion, label_counts
from seqmodels.training.recording.forecasts import forecasts
from seqmodels.training.recording.rows import points, wrong_rows
from seqmodels.training.recording.texts import samples, texts

WORST = 8  # rows
Found = dict[str, Any]

log = logging.getLogger(__name__)


def tested(trainer: Trainer, task: Task[Any], recipe: Mapping[str, Any]) -> Found:
    """Return what is shown of the last test of a task as plain data; every process must call it.

    Anything that fails is left out with a warning.

    Args:
        trainer: at the end of its test, while the network is still on its device.
        task: the task, with the losses of the rows of the test.
        recipe: that of the model.
    """
    names = list(recipe["class_names"])
    found: Found = {}
    if isinstance(task, Classification | Tagging):  # collective: a failure here is one of all processes
        matrix = task.confusion_matrix
        found["confusion"] = confusion(matrix, names if isinstance(task, Classification) else task.tag_names)
    elif isinstance(task, MultilabelClassification):
        found["labels"] = label_counts(task, names)
    loader = trainer.test_dataloaders
    worst = _worst(task, loader, trainer) if isinstance(loader, SequenceLoader) else []
    if not trainer.is_global_zero:
        return {}
    for name, part in _parts(task, loader, worst, recipe).items():
        try:
            found[name] = part()
        except Exception as error:  # a task or preprocessing of the user's own may have other outputs
            log.warning("the report of this run lacks its %s: %s: %s", name, type(error).__name__, error)
    return found


def _parts(task: Task[Any], loader: Any, worst: list[tuple[float, int]], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return functions that compute what the first process can show."""
    parts: dict[str, Callable[[], Any]] = {}
    if isinstance(task, TextTask):
        return {"texts": partial(texts, task)}
    if isinstance(task, LanguageModeling):
        return {"samples": partial(samples, task, recipe)}
    if isinstance(task, Forecasting):
        return {"forecasts": partial(forecasts, task, loader.dataset, worst)}
    if worst:
        parts["errors"] = partial(wrong_rows, task, loader.dataset, worst, recipe)
    if isinstance(task, Regression) and worst:
        parts["points"] = partial(points, task, loader.dataset)
    return parts


def _worst(task: Task[Any], loader: SequenceLoader[Any], trainer: Trainer) -> list[tuple[float, int]]:
    """Return the losses and numbers of the rows with the greatest losses over all processes, worst first."""
    own: list[tuple[float, int]] = []
    if task.row_losses:
        losses = torch.cat(task.row_losses).cpu()
        top = losses.nan_to_num(torch.inf).topk(min(WORST, len(losses)))
        order = loader.order()
        own = [(loss, order[place]) for loss, place in zip(top.values.tolist(), top.indices.tolist(), strict=True)]
    if trainer.world_size > 1:
        everyone: list[Any] = [None] * trainer.world_size
        distributed.all_gather_object(everyone, own)
        own = [pair for part in everyone for pair in part]
    return sorted(own, reverse=True)[:WORST]
