"""Compose a run inside a test, with the values that Hydra would add."""

import copy
from functools import lru_cache
from pathlib import Path

from omegaconf import DictConfig, open_dict

from seqmodels.config.compose import compose

TINY = [
    "trainer.accelerator=cpu",
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
    config.paths.output_dir = str(folder)
    if resume:
        config.resume = str(folder)
    return config


@lru_cache(maxsize=64)
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    """Compose once what many tests train: it takes as long as a short run."""
    config = compose("train", ["name=test", "run_name=test", "paths.output_dir=nowhere", *overrides])
    with open_dict(config):
        del config["hydra"]
    return config
