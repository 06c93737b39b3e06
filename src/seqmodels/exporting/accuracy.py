"""By how much a model with weights in int8 is worse than the model, on the data that validated it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from omegaconf import DictConfig

from seqmodels.config.build import plain
from seqmodels.errors import ConfigError
from seqmodels.tasks import Task
from seqmodels.training.checkpointing import load_trained
from seqmodels.training.evaluation import data_of_run, loading_of
from seqmodels.training.quiet import quiet

Methods = Mapping[str, Callable[..., Any]]
"""What stands in for methods of a network, by their names, and computes what was exported."""
ROWS = 1000
"""About how many rows of the validation part are measured."""


def accuracy_lost(place: Path, methods: Methods) -> list[str]:
    """Return the metrics of a run on the first rows of its validation part, of its model and of what was exported.

    Args:
        place: the checkpoint, or model folder, of a run.
        methods: none if the network cannot be measured by what was exported.

    Returns:
        A line for each metric, or one that says why none was measured.
    """
    run = place.parents[1] if place.is_file() else place.parent
    if not (run / "config.yaml").is_file():
        return [f"loss of accuracy not measured: {place} lies in no run, which has data to measure on"]
    if not methods:
        return ["loss of accuracy not measured: this network is not run by the graph or function alone"]
    try:
        with quiet():
            task, recipe = load_trained(place)
            parts = {"data": plain(DictConfig(recipe["config"]).data), "augmentation": None}
            data, loading = data_of_run(parts, recipe), loading_of(parts["data"])
            split = data.split("val")
            rows = loading.rows("val")
            batches = -(-ROWS // rows)
            before = _validated(task, split.loader("val", loading), batches)
            for name, method in methods.items():
                setattr(task.model, name, method)
            after = _validated(task, split.loader("val", loading), batches)
    except (ConfigError, ValueError, OSError) as error:
        return [f"loss of accuracy not measured: {error}"]
    first = f"on {min(rows * batches, len(split))} rows of the validation part of data={data.name}"
    lines = [f"{name}: {value:.6g} in float32, {after[name]:.6g} in int8" for name, value in before.items()]
    return [f"{first}:", *lines]


def _validated(task: Task[Any], loader: Any, batches: int) -> dict[str, float]:
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=batches,
    )
    (found,) = trainer.validate(task, dataloaders=loader, verbose=False)
    return {name: float(value) for name, value in found.items()}
