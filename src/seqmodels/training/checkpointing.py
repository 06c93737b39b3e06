"""Checkpoints and model folders: plain data and a recipe, the configuration and sizes that a model is built from."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file, save
from torch import nn

from seqmodels.config.build import accepted, build
from seqmodels.data import DataModule, Preprocessing
from seqmodels.errors import ConfigError, CorruptCheckpointError
from seqmodels.system.durable import check_writable, write_durably, write_text
from seqmodels.system.json_text import read_json
from seqmodels.tasks import Task
from seqmodels.training.checkpoint_file import read_checkpoint
from seqmodels.training.checkpoint_format import FORMAT
from seqmodels.training.renamed import with_public_names
from seqmodels.training.runs import write_json

Recipe = dict[str, Any]  # plain data with the keys of recipe_of
DATA_FIELDS = ("sizes", "class_names", "preprocessing")


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


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """Return the preprocessing that reads new files for a model.

    Raises:
        ConfigError: the data set of the model has none.
    """
    if recipe.get("preprocessing") is None:
        name = recipe["config"]["data"]["_target_"]
        raise ConfigError(f"{name} has no way to read new files: it states no preprocessing")
    preprocessing: Preprocessing = build(recipe["preprocessing"])
    return preprocessing


def build_model(config: DictConfig, sizes: Mapping[str, Any]) -> nn.Module:
    """Return the network of a configuration, for the sizes of the data."""
    model: nn.Module = build(config.model, **accepted(config.model, sizes))
    return model


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
        raise ConfigError(f"ckpt_path={path} holds another network than that of this run: {_detail(error)}") from error


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
        return _load_folder(Path(path))
    checkpoint = read_checkpoint(path)
    recipe: Recipe = checkpoint["recipe"]
    try:
        task = build_task(DictConfig(recipe["config"]), recipe["sizes"], recipe.get("preprocessing"))
    except ConfigError:
        raise
    except Exception as error:  # a recipe from elsewhere may hold anything
        reason = (str(error) or repr(error)).splitlines()[0]
        raise CorruptCheckpointError(f"{path} holds a recipe that no model can be built from: {reason}") from error
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise CorruptCheckpointError(
            f"{path} holds other weights than those of its recipe: {_detail(error)}"
        ) from error
    return task.eval(), recipe


def _detail(error: RuntimeError) -> str:
    """Return the first difference between weights and network that torch reports."""
    return "; ".join(line.strip() for line in str(error).splitlines()[1:2])


def save_model(folder: str | Path, model: nn.Module, recipe: Recipe, metrics: Mapping[str, float]) -> None:
    """Write a network as a folder to share: ``config.json``, ``model.safetensors`` and a model card ``README.md``.

    Args:
        folder: created if it does not exist.
        model: the trained network.
        recipe: the configuration and data properties that it was built from.
        metrics: results by name; those that begin with ``test/`` are listed in the model card.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: recipe["config"][name] for name in ("name", "model", "cell", "regularizers", "task", "data")}
    write_json(folder / "config.json", {**parts, **{name: recipe[name] for name in DATA_FIELDS}})
    weights = save({name: value.contiguous() for name, value in model.state_dict().items()})
    write_durably(folder / "model.safetensors", lambda file: file.write(weights))
    write_text(folder / "README.md", _card(recipe, model, metrics))


def load_model(folder: str | Path) -> nn.Module:
    """Return the network of a folder that :func:`save_model` wrote.

    Args:
        folder: the folder ``model`` of a run, or a copy of it.

    Returns:
        The network, on the CPU and in evaluation mode.

    Raises:
        ConfigError: a file is missing or cannot be read.
        TargetRefused: its ``config.json`` names something that is not on the allow-list.
    """
    return _folder(Path(folder))[0]


def _load_folder(folder: Path) -> tuple[Task, Recipe]:
    """Return the task of a model folder, and its recipe, whose ``config`` has no training options."""
    model, config = _folder(folder)
    task = _task(OmegaConf.create(config), model, config["sizes"], config.get("preprocessing"))
    return task.eval(), {"config": config, **{name: config.get(name) for name in DATA_FIELDS}}


def _folder(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    try:
        config = with_public_names(read_json(folder / "config.json"))
        node = OmegaConf.create(config)
        weights = load_file(folder / "model.safetensors")
    except Exception as error:
        raise ConfigError(f"cannot read the model folder {folder}: {' '.join(str(error).split())}") from error
    for part in ("model", "sizes"):
        if not isinstance(config, dict) or not isinstance(config.get(part), dict):
            raise ConfigError(f"cannot read the model folder {folder}: config.json has no {part}")
    model = build_model(node, config["sizes"])
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"{folder} holds other weights than those of its config.json: {_detail(error)}") from error
    return model.eval(), config


def _card(recipe: Recipe, model: nn.Module, metrics: Mapping[str, float]) -> str:
    config = recipe["config"]
    network, cell, data = (escaped(config[part]["_target_"]) for part in ("model", "cell", "data"))
    rows = "\n".join(
        f"| {escaped(name)} | {value:.4f} |" for name, value in metrics.items() if name.startswith("test/")
    )
    return (
        f"# {escaped(config['name'])}\n\n"
        f"`{network}` with `{cell}`, "
        f"{sum(p.numel() for p in model.parameters())} parameters, trained on `{data}`.\n\n"
        f"| metric | value |\n|---|---|\n{rows}\n\n"
        '```python\nfrom seqmodels.training import load_model\n\nmodel = load_model("this/folder")\n```\n'
    )


def escaped(text: Any) -> str:
    """Return a name escaped for a line of Markdown, so that neither Markdown nor HTML in it takes effect."""
    line = escape(" ".join(str(text).split()), quote=False)
    return re.sub(r"[\\`*\[\]|#!]", lambda found: f"&#{ord(found[0])};", line)
