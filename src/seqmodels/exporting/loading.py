"""Load a trained model without Lightning and Hydra."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seqmodels.config.allowlist import ALLOW, check_names, user_patterns
from seqmodels.config.build import construct, with_environment
from seqmodels.exporting.model import Model
from seqmodels.system.devices import device_of
from seqmodels.tasks.predictors.forecasts import ForecastPredictor
from seqmodels.tasks.predictors.labels import ClassPredictor, LabelPredictor
from seqmodels.tasks.predictors.predictor import Predictor, Record
from seqmodels.tasks.predictors.texts import TextPredictor, TranscriptPredictor
from seqmodels.tasks.predictors.tokens import ScorePredictor, TagPredictor
from seqmodels.tasks.predictors.values import ValuePredictor
from seqmodels.training.finding import weights_of
from seqmodels.training.trained import Recipe, load_network, preprocessing_of

PREDICTORS: Mapping[str, type[Any]] = {
    "seqmodels.tasks.CTC": TranscriptPredictor,
    "seqmodels.tasks.Classification": ClassPredictor,
    "seqmodels.tasks.Forecasting": ForecastPredictor,
    "seqmodels.tasks.LanguageModeling": ScorePredictor,
    "seqmodels.tasks.MultilabelClassification": LabelPredictor,
    "seqmodels.tasks.Regression": ValuePredictor,
    "seqmodels.tasks.Seq2Seq": TextPredictor,
    "seqmodels.tasks.Tagging": TagPredictor,
}
"""By the name of a task in recipes, its predictor, whose fields are options of the task or sizes of the data."""


def load(
    path: str | PathLike[str],
    *,
    ckpt: str | None = None,
    device: str | torch.device = "cpu",
    allow: str | Sequence[str] = (),
) -> Model:
    """Load a trained model, with its preprocessing, to predict in Python what ``seqmodels predict`` writes to files.

    Neither Lightning nor Hydra is imported, and nothing is unpickled: weights are read as plain data, and every name
    in the recipe is checked against the allow-list before it is imported. A task of your own, which is a class of
    Lightning, brings Lightning along.

    Args:
        path: folder of a run, model folder or checkpoint; or as in ``run=`` of the commands the name of a run,
            ``latest`` or ``best:NAME``.
        ckpt: of a run: ``best``, ``last``, ``refit`` or the path of a checkpoint; by default ``refit`` if the run has
            one, else ``best``.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``gpu`` for the one of this machine, ``auto`` for that or the
            CPU.
        allow: your own modules that the recipe may use, such as ``"mycells.*"``.

    Returns:
        The model, in evaluation mode.

    Raises:
        ConfigError: there is no such run, it cannot be read, or this machine does not have the device.
        TargetRefused: the recipe names something that is neither on the allow-list nor in ``allow``.

    Example:
        >>> load("runs/none")
        Traceback (most recent call last):
        ...
        seqmodels.errors.ConfigError: run=runs/none: there is no such folder or file, and no run of this name
    """
    target = device_of(str(device))
    with allowed([allow] if isinstance(allow, str) else allow):
        found = weights_of(fspath(path), ckpt)
        model, recipe = load_network(found)
        preprocessing = None if recipe.get("preprocessing") is None else preprocessing_of(recipe)
        predictor = predictor_of(model, recipe, preprocessing, found)
    return Model(predictor, recipe, preprocessing, target)


def predictor_of(model: nn.Module, recipe: Recipe, preprocessing: Any, path: Path) -> Predictor:
    """Return what turns the outputs of a trained network into predictions."""
    node = with_environment(recipe["config"].get("task") or {}, "task")
    kind = PREDICTORS.get(node.get("_target_"))
    if kind is None:
        return own_predictor(path)
    check_names(node, "task")
    check_names(recipe["config"].get("optimizer"), "optimizer")  # unused, but a file that names other code is refused
    offered = {**recipe["sizes"], "preprocessing": preprocessing}
    names = {field.name for field in fields(kind)} - {"model"}
    given = {name: construct(node[name], f"task.{name}") for name in names & set(node)}
    predictor: Predictor = kind(model, **{name: offered[name] for name in names & set(offered)}, **given)
    return predictor


@dataclass
class OwnPredictor(Predictor):
    """The predictions of a task of the user's own."""

    task: Any

    def __post_init__(self) -> None:
        self.model = self.task.model

    def records(self, batch: Any, class_names: Sequence[str]) -> list[list[Record]]:
        found: list[list[Record]] = self.task.records(batch, class_names)
        return found

    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> list[Record]:  # noqa: ARG002
        return list(records)


def own_predictor(path: Path) -> OwnPredictor:
    """Return the predictor of a checkpoint or model folder whose task is none of this package."""
    from seqmodels.training.checkpointing import load_trained  # noqa: PLC0415  (imports Lightning, of which the task is)

    return OwnPredictor(load_trained(path)[0])


@contextmanager
def allowed(patterns: Sequence[str]) -> Iterator[None]:
    """Extend the allow-list within a block."""
    before = os.environ.get(ALLOW)
    if patterns:
        os.environ[ALLOW] = ",".join([*user_patterns(), *patterns])
    try:
        yield
    finally:
        os.environ.pop(ALLOW, None)
        os.environ.update({} if before is None else {ALLOW: before})
