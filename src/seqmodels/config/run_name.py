"""The name of a run: its cell, hidden sizes and seed, such as ``gru-64-seed1``."""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig
from omegaconf.errors import OmegaConfBaseException

from seqmodels.config.files import config_folder
from seqmodels.errors import ConfigError

UNFIT = re.compile(r"[/\\:*?\"<>|\x00-\x1f]")  # for the name of a folder, on any system
LONGEST = 100  # characters


def run_name(*, _root_: DictConfig) -> str:
    """Return the name of a run by its configuration: what ``${run_name:}`` resolves to.

    A network without a cell has its own name instead. Texts of the configuration other than the names of classes and
    options have no part in it: they may be secrets.
    """
    model = _root_.get("model") or {}
    group = "cell" if "cell" in model else "model"
    parts = [_option(_root_, group), _sizes(model, _root_.get(group) or {}), _seed(_root_.get("seed"))]
    return re.sub(r"[^\w.+-]+", "-", "-".join(part for part in parts if part))[:LONGEST]


def check_run_name(config: DictConfig) -> None:
    """Check that ``run_name`` can be a part of the name of a folder.

    Raises:
        ConfigError: it cannot.
    """
    try:
        name = config.run_name
    except OmegaConfBaseException as error:
        raise ConfigError(f"run_name: {str(error).splitlines()[0]}") from error
    if not isinstance(name, str | int) or not 0 < len(str(name)) <= LONGEST or UNFIT.search(str(name)):
        raise ConfigError(
            f"run_name names a folder: it must be a text of at most {LONGEST} characters without "
            f'/ \\ : * ? " < > | and line breaks, got {name!r}'
        )


def _option(config: DictConfig, group: str) -> str:
    """Return the chosen option of a group, or the name of its class if that is not the one of the option."""
    node = config.get(group)
    choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    choice, target = choices.get(group), str((node or {}).get("_target_", ""))
    if choice is None or _target_of(group, str(choice)) not in (None, target):
        return target.rpartition(".")[2]
    return str(choice)


def _target_of(group: str, choice: str) -> str | None:
    """Return the class of an option of this package; None for options from elsewhere."""
    path = config_folder() / group / f"{choice.removesuffix('.yaml')}.yaml"
    return yaml.safe_load(path.read_text("utf-8")).get("_target_") if path.is_file() else None


def _sizes(model: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    """Return the hidden sizes: ``64``, ``64x2`` for two layers of that size, ``128-64``."""
    given, depth = model.get("hidden_sizes"), model.get("depth")
    sizes = [*given] if isinstance(given, ListConfig) else [part.get("hidden_size")]
    if not all(isinstance(size, int) for size in sizes):
        return ""
    layers = len(sizes) if len(sizes) > 1 else depth
    if len(set(sizes)) == 1 and isinstance(layers, int) and layers > 1:
        return f"{sizes[0]}x{layers}"
    return "-".join(map(str, sizes))


def _seed(seed: Any) -> str:
    return f"seed{seed}" if isinstance(seed, int) else ""
