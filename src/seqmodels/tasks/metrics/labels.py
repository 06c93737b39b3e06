"""Classification metrics with one cheap update per batch, and no warnings about rare classes."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

TensorState = list[Tensor] | Tensor


class AreaUnderROC(Metric):
    """Compute the exact area under the ROC curve, averaged over the classes with both positive and negative rows.

    The result is NaN if there is no such class. The scores of all rows are kept; ties count one half.

    Args:
        exclusive: each row has one class, given by its index, and scores are softmax logits; otherwise a row has any
            number of labels, given as 0/1.
    """

    full_state_update = False
    scores: TensorState
    targets: TensorState

    def __init__(self, *, exclusive: bool) -> None:
        super().__init__()
        self.exclusive = exclusive
        self.add_state("scores", default=[], dist_reduce_fx="cat")
        self.add_state("targets", default=[], dist_reduce_fx="cat")

    def update(self, scores: Tensor, targets: Tensor) -> None:
        """Add scores ``(rows, classes)`` and targets, ``(rows,)`` classes or ``(rows, classes)`` labels."""
        assert isinstance(self.scores, list)
        assert isinstance(self.targets, list)
        self.scores.append(scores.detach())
        self.targets.append(targets)

    def compute(self) -> Tensor:
        scores, targets = dim_zero_cat(self.scores).float().cpu(), dim_zero_cat(self.targets).cpu()
        if self.exclusive:
            scores = scores.softmax(-1)
            targets = torch.nn.functional.one_hot(targets, scores.shape[1])
        areas = [area_under_roc(*column) for column in zip(scores.T, targets.T.bool(), strict=True)]
        return torch.stack(areas).nanmean().to(self.device)


def area_under_roc(scores: Tensor, positive: Tensor) -> Tensor:
    """Return the probability that a ``positive`` row has a higher score than a negative one, both ``(rows,)``."""
    _, rank, ties = scores.unique(return_inverse=True, return_counts=True)
    below = ties.cumsum(0) - ties
    midrank = below.double() + (ties.double() + 1) / 2
    positives = positive.sum().double()
    others = len(scores) - positives
    wins = midrank[rank][positive].sum() - positives * (positives + 1) / 2
    return (wins / (positives * others)).float()  # 0 / 0 if there are none


class ClassScores(Metric):
    """Compute accuracy, precision, recall and F1 from the counts of a confusion matrix.

    ``accuracy`` is over all rows; ``precision``, ``recall`` and ``f1`` are means over the classes that occur or are
    predicted.
    """

    full_state_update = False
    counts: Tensor  # (classes, classes)  rows are the true classes, columns the predicted ones

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("counts", default=torch.zeros(classes, classes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add logits ``(rows, classes)`` and classes ``(rows,)``."""
        self.count(logits.argmax(-1), targets)

    def count(self, predicted: Tensor, targets: Tensor, real: Tensor | None = None) -> None:
        """Add classes that were predicted and true ones, of any one shape; those that are not ``real`` do not count."""
        pairs = (targets * self.classes + predicted).flatten()
        ones = torch.ones_like(pairs) if real is None else real.flatten().to(pairs.dtype)
        self.counts.view(-1).scatter_add_(0, pairs, ones)  # bincount would wait for the device

    def compute(self) -> dict[str, Tensor]:
        counts = self.counts.cpu().double()
        correct = counts.diagonal()
        scores = {"accuracy": correct.sum() / counts.sum(), **_means(correct, counts.sum(0), counts.sum(1))}
        return {name: score.float().to(self.device) for name, score in scores.items()}


class LabelScores(Metric):
    """Compute accuracy, precision, recall and F1 of labels, from counts per label.

    ``accuracy`` is over all labels of all rows; ``exact_match`` is the fraction of rows with all labels correct;
    ``precision``, ``recall`` and ``f1`` are means over the labels that occur or are predicted; ``f1_micro`` is the F1
    of all labels pooled.

    Args:
        labels: number of labels.
        threshold: smallest probability at which a label is predicted.
    """

    full_state_update = False
    counts: Tensor
    exact: Tensor
    rows: Tensor

    def __init__(self, labels: int, *, threshold: float = 0.5) -> None:
        super().__init__()
        self.cut = float(torch.tensor(threshold, dtype=torch.float64).logit())
        self.add_state("counts", default=torch.zeros(3, labels, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("exact", default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("rows", default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add logits and 0/1 labels ``(rows, labels)``."""
        predicted, true = logits >= self.cut, targets.bool()
        self.counts += torch.stack([(predicted & true).sum(0), predicted.sum(0), true.sum(0)])
        self.exact += (predicted == true).all(1).sum()
        self.rows += len(targets)

    def compute(self) -> dict[str, Tensor]:
        both, predicted, true = self.counts.cpu().double()
        rows = int(self.rows)
        scores = {
            "accuracy": 1 - (predicted + true - 2 * both).sum() / (rows * len(both)),
            "exact_match": self.exact.cpu() / rows,
            **_means(both, predicted, true),
            "f1_micro": 2 * both.sum() / (predicted + true).sum(),
        }
        return {name: score.float().to(self.device) for name, score in scores.items()}


def _means(both: Tensor, predicted: Tensor, true: Tensor) -> dict[str, Tensor]:
    """Return macro precision, recall and F1 over the classes or labels that occur or are predicted."""
    seen = (predicted + true) > 0
    both, predicted, true = both[seen], predicted[seen], true[seen]
    return {
        "precision": (both / predicted.clamp(min=1)).mean(),
        "recall": (both / true.clamp(min=1)).mean(),
        "f1": (2 * both / (predicted + true)).mean(),
    }
