"""Compose a run inside a test, with the values that Hydra would add."""

import copy
from functools import lru_cache
from pathlib import Path

from omegaconf import DictConfig, open_dict

from seqmodels.config.compose import compose

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
    config = copy.deepcopy(_composed(overrides))
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
