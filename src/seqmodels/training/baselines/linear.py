"""Logistic regression by scikit-learn, on any features."""

import math
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

RARE = 1e-6  # probability of a class without train rows
STRENGTH = 10.0  # inverse of the L2 penalty
STEPS = 100  # of the solver; more hardly change the accuracy


def log_odds(train: Any, targets: Tensor, tests: Iterable[Any], outputs: int) -> Tensor:
    """Return logits ``(rows of all tests, outputs)`` of a logistic regression for classes, or of one for each label.

    Args:
        train: features ``(rows, features)`` of the train rows, also sparse.
        targets: their classes ``(rows,)`` or 0/1 labels ``(rows, outputs)``.
        tests: features of the test rows, in parts.
        outputs: number of classes or labels.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    if targets.dim() == 1:
        model = _fitted(train, targets)
        return torch.cat([_log_probabilities(model, part, outputs) for part in tests])
    models = [_fitted(train, column.long()) for column in targets.T]
    parts = []
    for part in tests:
        both = torch.stack([_log_probabilities(model, part, 2) for model in models], 1)
        parts.append(both[..., 1] - both[..., 0])
    return torch.cat(parts)


def _fitted(train: Any, targets: Tensor) -> Any:
    from sklearn.dummy import DummyClassifier  # noqa: PLC0415  (an extra)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    model = LogisticRegression(C=STRENGTH, max_iter=STEPS)
    if len(targets.unique()) == 1:  # nothing to learn, which LogisticRegression refuses
        model = DummyClassifier(strategy="prior")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a solver that stops early
        return model.fit(train, targets.numpy())


def _log_probabilities(model: Any, features: Any, outputs: int) -> Tensor:
    """Return log probabilities ``(rows, outputs)``; the model knows only the classes of its train rows."""
    probabilities = torch.from_numpy(model.predict_proba(features)).float()
    found = torch.full((len(probabilities), outputs), math.log(RARE))
    found[:, torch.from_numpy(model.classes_)] = probabilities.clamp(min=RARE).log()
    return found
