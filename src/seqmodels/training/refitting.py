"""Train the final model of a run again, on all of its data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import DictConfig, open_dict

from seqmodels.errors import ConfigError
from seqmodels.tasks import Task
from seqmodels.training.checkpoint_reading import load_checkpoint
from seqmodels.training.records.folders import REFIT


class StopAfter(Callback):
    """Stop after a number of epochs; the learning-rate schedule is that of the trainer's ``max_epochs``."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


def check_refit(config: DictConfig, parts: Mapping[str, Any]) -> None:
    """Check that a run can be followed by a training on all data.

    Raises:
        ConfigError: ``refit`` is neither null nor ``all``, or the run has no best epoch, several processes, or a
            schedule or averaging that depends on validation.
    """
    if config.refit is None:
        return
    if config.refit != "all":
        raise ConfigError(f"refit must be all or null, got {config.refit!r}")
    if (parts["callbacks"] or {}).get("model_checkpoint") is None:
        raise ConfigError("refit=all trains for the number of epochs of the best checkpoint: it needs model_checkpoint")
    if any("NonMonotonicAveraging" in str((node or {}).get("_target_")) for node in parts["callbacks"].values()):
        raise ConfigError("refit=all leaves no data to validate on, by which callbacks=averaging begins: leave it out")
    if "ReduceLROnPlateau" in str((parts["scheduler"] or {}).get("_target_")):
        raise ConfigError("refit=all leaves no data to validate on, which scheduler=plateau needs: choose another one")
    devices, nodes = parts["trainer"].get("devices"), parts["trainer"].get("num_nodes")
    if devices not in (1, "1") or nodes not in (1, None):
        raise ConfigError("refit=all trains in one process: leave out trainer.devices and trainer.num_nodes")


def refit_config(config: DictConfig, max_epochs: int | None) -> DictConfig:
    """Return the configuration of the training on all data, within the folder of the run.

    ``max_epochs`` is that of the run, so that the learning rates of an epoch are the same.
    """
    folder = Path(config.paths.output_dir, REFIT)
    again = config.copy()
    with open_dict(again):
        again.paths.output_dir = str(folder)
        again.test, again.refit, again.ckpt_path = False, None, None
        again.trainer.limit_val_batches = 0
        again.trainer.max_epochs = max_epochs
        for name in ("model_checkpoint", "early_stopping"):
            again.callbacks[name] = None
        again.resume = config.resume if (folder / "checkpoints").is_dir() else None
    return again


def best_checkpoint(trainer: Trainer) -> dict[str, Any] | None:
    """Return the content of the best checkpoint, None if there is none: without a validation, or on a full disk."""
    path = getattr(trainer.checkpoint_callback, "best_model_path", "")
    return load_checkpoint(path) if path and Path(path).is_file() else None


def save_refit(trainer: Trainer, task: Task[Any], best: Mapping[str, Any]) -> None:
    """Save the network trained on all data as a checkpoint of the run, with what the best one has from validation."""
    task.take_over(best["state_dict"])
    folder = Path(trainer.default_root_dir).parent / "checkpoints"
    trainer.save_checkpoint(folder / f"{REFIT}.ckpt")
