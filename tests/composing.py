"""Compose a run inside a test, with the values that Hydra would add."""

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


def composed(folder: Path, *overrides: str) -> DictConfig:
    """Return the configuration of ``seqmodels train <overrides>`` that writes into ``folder``."""
    config = compose("train", ["name=test", f"paths.output_dir='{folder}'", *overrides])
    with open_dict(config):
        del config["hydra"]
    return config
