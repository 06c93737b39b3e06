"""Trained networks from checkpoints and model folders, which need neither Lightning nor Hydra."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from seqmodels.config.build import accepted, build, check, construct, plain, with_environment
from seqmodels.config.signatures import check_signature
from seqmodels.data import Preprocessing
from seqmodels.errors import ConfigError, CorruptCheckpointError
from seqmodels.system.json_text import read_json
from seqmodels.training.checkpoint_reading import read_checkpoint
from seqmodels.training.renamed import with_public_names

Recipe = dict[str, Any]
"""What a network is rebuilt from, plain data: ``config``, ``sizes``, ``class_names`` and ``preprocessing``."""

DATA_FIELDS = ("sizes", "class_names", "preprocessing")
NETWORK = "model."  # prefix of the network's weights among those of a task
SEARCH = ("beam", "n_best", "length_penalty", "coverage_penalty", "max_length")  # options of searches


def load_network(path: str | Path) -> tuple[nn.Module, Recipe]:
    """Return the trained network of a checkpoint or model folder, on the CPU and in evaluation mode, and its recipe.

    Raises:
        ConfigError: it cannot be read, or no network fits it; of a checkpoint, a ``CorruptCheckpointError``.
        TargetRefused: it names something that is not on the allow-list.
    """
    if Path(path).is_dir():
        return load_folder(Path(path))
    checkpoint = read_checkpoint(path)
    recipe: Recipe = checkpoint["recipe"]
    try:
        model = build_model(recipe["config"], recipe["sizes"])
    except ConfigError:
        raise
    except Exception as error:
        raise unusable_recipe(path, error) from error
    weights = checkpoint["state_dict"]
    try:
        model.load_state_dict({name[len(NETWORK) :]: weights[name] for name in weights if name.startswith(NETWORK)})
    except RuntimeError as error:
        raise other_weights(path, error) from error
    return model.eval(), recipe


def load_folder(folder: Path) -> tuple[nn.Module, Recipe]:
    """Return the network of a model folder, and its recipe, whose ``config`` has no training options.

    Raises:
        ConfigError: a file is missing or cannot be read, or the weights are of another network.
        TargetRefused: its ``config.json`` names something that is not on the allow-list.
    """
    try:
        config = with_public_names(read_json(folder / "config.json"))
        weights = load_file(folder / "model.safetensors")
    except Exception as error:
        raise ConfigError(f"cannot read the model folder {folder}: {' '.join(str(error).split())}") from error
    for part in ("model", "sizes"):
        if not isinstance(config, dict) or not isinstance(config.get(part), dict):
            raise ConfigError(f"cannot read the model folder {folder}: config.json has no {part}")
    model = build_model(config, config["sizes"])
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"{folder} holds other weights than those of its config.json: {first_of(error)}") from error
    return model.eval(), {"config": config, **{name: config.get(name) for name in DATA_FIELDS}}


def build_model(config: Any, sizes: Mapping[str, Any]) -> nn.Module:
    """Return the network of a configuration, composed or saved, for the sizes of the data."""
    node = with_environment(plain(config["model"]), "model")
    given = accepted(node, sizes)
    check(node, "model", given)
    model: nn.Module = construct(node, "model", given)
    return model


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


def set_search(predictor: Any, options: Mapping[str, Any]) -> None:
    """Set how a predictor or task searches for outputs to ``beam``, ``n_best`` and the like, where they are not None.

    Raises:
        ConfigError: it does not search for outputs, or an option is outside its range.
    """
    given = {option: options[option] for option in SEARCH if options.get(option) is not None}
    search: Any = getattr(predictor, "search", None)
    if not given:
        return
    if search is None:
        raise ConfigError(f"{next(iter(given))}= is for models that write texts (task=seq2seq, ctc), not for this one")
    if "n_best" in given and "beam" not in given:
        given["beam"] = max(given["n_best"], search.beam)
    check_signature(type(search), {"_target_": "the search of the model", **given}, "", {})
    if given.get("beam") == 1 and hasattr(search, "coverage_penalty"):  # without the penalty of a beam in training
        given = {"coverage_penalty": 0.0, **given}
    try:
        predictor.search = replace(search, **given)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def unusable_recipe(path: str | Path, error: Exception) -> CorruptCheckpointError:
    """Return the error for a recipe that no model can be built from: one from elsewhere may hold anything."""
    reason = (str(error) or repr(error)).splitlines()[0]
    return CorruptCheckpointError(f"{path} holds a recipe that no model can be built from: {reason}")


def other_weights(path: str | Path, error: RuntimeError) -> CorruptCheckpointError:
    """Return the error for weights that are not of the network of the recipe."""
    return CorruptCheckpointError(f"{path} holds other weights than those of its recipe: {first_of(error)}")


def first_of(error: RuntimeError) -> str:
    """Return the first difference between weights and network that torch reports."""
    return "; ".join(line.strip() for line in str(error).splitlines()[1:2])
