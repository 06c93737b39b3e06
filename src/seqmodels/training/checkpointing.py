"""Checkpoints: plain data and a recipe, the configuration and sizes that a model is built from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import DictConfig
from torch import nn

from seqmodels.config.build import accepted, build
from seqmodels.data import DataModule
from seqmodels.errors import ConfigError
from seqmodels.system.durable import check_writable
from seqmodels.tasks import Task
from seqmodels.training.checkpoint_format import FORMAT
from seqmodels.training.checkpoint_reading import read_checkpoint
from seqmodels.training.trained import Recipe, build_model, first_of, load_folder, other_weights, unusable_recipe


class RecipeInCheckpoint(Callback):
    """Store the recipe in every checkpoint, so that :func:`load_task` needs only the file.

    Before training, check that the checkpoint folders are writable.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        if stage != "fit" or not trainer.is_global_zero:
            return
        for callback in trainer.checkpoint_callbacks:
            folder = getattr(callback, "dirpath", None)
            try:
                if folder is not None:
                    check_writable(Path(folder))
            except OSError as error:
                raise ConfigError(f"dirpath={folder}, for checkpoints, cannot be written: {error.strerror}") from error

    def on_save_checkpoint(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        checkpoint: dict[str, Any],
    ) -> None:
        checkpoint |= {"format": FORMAT, "recipe": self.recipe}


def recipe_of(config: Mapping[str, Any], data: DataModule) -> Recipe:
    """Return what is needed to rebuild and use a model: a resolved configuration and the properties of the data."""
    return {
        "config": config,
        "sizes": data.sizes,
        "class_names": list(data.class_names),
        "preprocessing": data.preprocessing,
    }


def build_task(config: DictConfig, sizes: Mapping[str, Any], preprocessing: Mapping[str, Any] | None = None) -> Task:
    """Return the task of a configuration with its network.

    Args:
        config: with the nodes of the task and its parts.
        sizes: keywords from the data, for the network and the task.
        preprocessing: node of the data's preprocessing, for a task that writes what the data consist of.

    Raises:
        ConfigError: a part of the configuration is wrong.
    """
    _try_optimizer(config.optimizer)
    return _task(config, build_model(config, sizes), sizes, preprocessing)


def _task(
    config: DictConfig, model: nn.Module, sizes: Mapping[str, Any], preprocessing: Mapping[str, Any] | None
) -> Task:
    offered = accepted(config.task, {**sizes, "preprocessing": preprocessing})
    if offered.get("preprocessing") is not None:
        offered["preprocessing"] = build(preprocessing)
    task: Task = build(config.task, model=model, **offered)
    return task


def _try_optimizer(node: DictConfig) -> None:
    """Build the optimiser once for a dummy parameter, since the task does so only when training starts."""
    try:
        build(node)([nn.Parameter(torch.zeros(1))])
    except ConfigError:
        raise
    except (ValueError, TypeError) as error:
        raise ConfigError(f"optimizer ({node._target_}): {error}") from error
    except Exception as error:  # torch checks few of its arguments: betas=[0.9] ends in an IndexError
        given = {str(key): value for key, value in node.items() if not str(key).startswith("_")}
        raise ConfigError(f"optimizer ({node._target_}) does not accept {given}: {error!r}") from error


def check_continues(path: str | Path, task: Task) -> None:
    """Check that training can continue from a checkpoint.

    Raises:
        ConfigError: it cannot be read, or its weights belong to another network.
    """
    try:
        task.load_state_dict(read_checkpoint(path)["state_dict"])
    except RuntimeError as error:
        raise ConfigError(f"ckpt_path={path} holds another network than that of this run: {first_of(error)}") from error


def load_task(path: str | Path) -> Task:
    """Return the trained task of a checkpoint, built from the recipe in it.

    Args:
        path: a checkpoint file, such as ``checkpoints/best.ckpt`` of a run.

    Returns:
        The task, on the CPU and in evaluation mode; its network is ``task.model``.

    Raises:
        CorruptCheckpointError: the file is missing, is not a checkpoint of this package, or holds more than plain data.
        ConfigError: a newer version of the package wrote it.
        TargetRefused: its recipe names something that is not on the allow-list.
    """
    return load_trained(path)[0]


def load_trained(path: str | Path) -> tuple[Task, Recipe]:
    """Return the task of a checkpoint (see :func:`load_task`) or model folder, and its recipe."""
    if Path(path).is_dir():
        model, recipe = load_folder(Path(path))
        task = _task(DictConfig(recipe["config"]), model, recipe["sizes"], recipe["preprocessing"])
        return task.eval(), recipe
    checkpoint = read_checkpoint(path)
    recipe = checkpoint["recipe"]
    try:
        task = build_task(DictConfig(recipe["config"]), recipe["sizes"], recipe.get("preprocessing"))
    except ConfigError:
        raise
    except Exception as error:
        raise unusable_recipe(path, error) from error
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise other_weights(path, error) from error
    return task.eval(), recipe
