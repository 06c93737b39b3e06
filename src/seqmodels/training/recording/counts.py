"""Counts of classes and labels over a test."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seqmodels.tasks import MultilabelClassification
from seqmodels.tasks.metrics.labels import LabelScores

CLASSES = 40  # of a matrix; of more, those with the most errors
LABELS = 60

Found = dict[str, Any]


def confusion(matrix: Tensor, names: Sequence[str]) -> Found:
    """Return a matrix of counts ``(classes, classes)`` with its names; of many classes those with the most errors.

    Example:
        >>> import torch
        >>> confusion(torch.tensor([[2, 1], [0, 3]]), ["cat", "dog"])
        {'names': ['cat', 'dog'], 'counts': [[2, 1], [0, 3]], 'classes': 2}
    """
    matrix = matrix.cpu()
    size = len(matrix)
    names = list(names) or [str(index) for index in range(size)]
    errors = matrix.sum(0) + matrix.sum(1) - 2 * matrix.diagonal()
    kept = errors.argsort(descending=True, stable=True)[:CLASSES].sort().values if size > CLASSES else range(size)
    shown = [int(index) for index in kept]
    return {"names": [names[i] for i in shown], "counts": matrix[shown][:, shown].tolist(), "classes": size}


def label_counts(task: MultilabelClassification, names: Sequence[str]) -> list[Found]:
    """Return how often each label was predicted rightly, predicted, and true; the most frequent ones first."""
    collection: Any = task.metrics["test"]
    scores = collection["labels"]
    assert isinstance(scores, LabelScores)
    with scores.sync_context():
        right, predicted, true = scores.counts.cpu()
    names = list(names) or [str(index) for index in range(len(true))]
    order = true.argsort(descending=True, stable=True)[:LABELS].tolist()
    return [
        {"name": names[i], "right": int(right[i]), "predicted": int(predicted[i]), "true": int(true[i])} for i in order
    ]
