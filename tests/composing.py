"""Compose a run inside a test, with the values that Hydra would add."""

import copy
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from seqmodels.config.compose import compose, parse
from seqmodels.config.files import config_folder

TINY = [
    "trainer=cpu",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=1",
    "trainer.limit_val_batches=1",
]
TINY += ["trainer.limit_test_batches=1", "trainer.log_every_n_steps=1"]
PLAIN = ["front=none", "model=classifier", "pooling=last"]
"""One recurrent layer alone, in place of the network that a data set chooses."""


def composed(folder: Path, *overrides: str, resume: bool = False) -> DictConfig:
    """Return the configuration of ``seqmodels train <overrides>`` that writes into ``folder``, or goes on there."""
    config = _with_values(overrides) or copy.deepcopy(_composed(overrides))
    for key in ("name", "run_name"):  # texts among the overrides have the defaults composed as well, to compare them
        if not any(override.startswith(f"{key}=") for override in overrides):
            config[key] = "test"
    config.paths.output_dir = str(folder)
    if resume:
        config.resume = str(folder)
    return config


@lru_cache(maxsize=64)
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    """Compose once what many tests train: it takes as long as a short run."""
    config = compose("train", [*overrides])
    with open_dict(config):
        del config["hydra"]
    return config


def _with_values(overrides: Sequence[str]) -> DictConfig | None:
    """Return what many tests choose from groups, with the plain values of one test set as Hydra sets them.

    Nothing where Hydra has to compose them: for its answer to what is wrong, or since one sets a part of another.
    """
    parsed = dict(zip(overrides, parse([*overrides]), strict=True))
    values = {line: override for line, override in parsed.items() if _is_plain(override)}
    others = tuple(line for line in overrides if line not in values)
    places = [f"{parsed[line].key_or_group}." for line in others if not _is_choice(parsed[line])]
    if not values or any(f"{override.key_or_group}.".startswith(tuple(places)) for override in values.values()):
        return None
    config = copy.deepcopy(_composed(others))
    try:
        for override in values.values():
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    except OmegaConfBaseException:
        return None
    return config


def _is_choice(override: Override) -> bool:
    return override.package is not None or (config_folder() / override.key_or_group).is_dir()


def _is_plain(override: Override) -> bool:
    """Return whether an override sets a number, a truth value or a path, which is not checked against the others."""
    value = override.value()
    changed = override.is_add() or override.is_force_add() or override.is_delete() or override.is_sweep_override()
    return not (changed or _is_choice(override)) and (
        isinstance(value, int | float) or (isinstance(value, str) and "/" in value)
    )
