"""The configuration of a run in its loggers, flat: ``cell.hidden_size: 64``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from omegaconf import DictConfig, OmegaConf

from seqmodels.config.changes import leaves
from seqmodels.training.runs import resolved_config


def hyperparameters(config: DictConfig) -> dict[str, Any]:
    """Return the resolved values of a configuration by dotted key, each once, where it was set.

    Parts that others refer to, such as ``cell`` in ``model.cell.factory``, are left out there; values of the
    environment are not resolved, see :func:`~seqmodels.training.runs.resolved_config`.
    """
    copies = tuple(f"{place}." for place in _references(config))
    flat = dict(leaves(resolved_config(config)))
    return {key: value for key, value in flat.items() if not f"{key}.".startswith(copies)}


def _references(node: Any, place: str = "") -> Iterator[str]:
    """Yield the keys of a configuration that refer to a whole part of it."""
    for key in node:
        where = f"{place}.{key}" if place else str(key)
        if not OmegaConf.is_dict(node._get_node(key)) and not OmegaConf.is_interpolation(node, key):
            continue
        if OmegaConf.is_dict(node[key]):
            if OmegaConf.is_interpolation(node, key):
                yield where
            else:
                yield from _references(node[key], where)


class LogHyperparameters(Callback):
    """Give hyperparameters to the loggers before training.

    Args:
        values: by dotted key.
        known: for each logger, whether it continues a record that has them already, which it may not change.
    """

    def __init__(self, values: Mapping[str, Any], known: Sequence[bool]) -> None:
        self.values, self.known = dict(values), known

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Log them; later, Lightning would have saved the files of some loggers without them."""
        if stage == "fit":
            for logger, known in zip(trainer.loggers, self.known, strict=False):
                if not known:
                    logger.log_hyperparams(self.values)

    def compare(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        """Write them with the final metrics for TensorBoard's table of runs, which shows only runs that have both."""
        final = {name: value for name, value in metrics.items() if name.startswith(("best/", "test/"))}
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and final:
                logger.log_hyperparams(self.values, final, trainer.global_step)


def log_hyperparameters(config: DictConfig) -> LogHyperparameters:
    """Return the callback for a run; a logger with a ``run_id`` continues its record if the run is resumed."""
    resumed = config.get("resume") is not None
    known = [resumed and bool((node or {}).get("run_id")) for node in config.logger.values()]
    return LogHyperparameters(hyperparameters(config), known)


@contextmanager
def own_wandb_run(trainer: Trainer) -> Iterator[None]:
    """End the record of W&B with the block: the next run of this process would continue it."""
    status = 1
    try:
        yield
        status = 0
    finally:
        if any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
            import wandb  # noqa: PLC0415  (an extra)

            wandb.finish(status)
