"""Train and test a model from a configuration."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ProgressBar, RichProgressBar
from omegaconf import DictConfig

from seqmodels.config.build import check, check_entries, construct, plain, target_of
from seqmodels.config.signatures import checked_seed
from seqmodels.config.trainer_checks import check_accelerator, check_length
from seqmodels.data import DataModule
from seqmodels.data.catalog import DATASETS, READERS
from seqmodels.errors import ConfigError
from seqmodels.system.locks import occupied
from seqmodels.system.tf32 import tf32
from seqmodels.system.threads import cpu_threads, threads_for
from seqmodels.tasks import Task
from seqmodels.training.baselines import baseline_metrics
from seqmodels.training.callbacks import EpochLines, TrainingLength
from seqmodels.training.callbacks.ending import LastValidation, account, best_metrics, lengths
from seqmodels.training.callbacks.hyperparameters import log_hyperparameters, own_wandb_run
from seqmodels.training.checkpoint_file import DurableCheckpointIO, OnFullDisk, restore_previous
from seqmodels.training.checkpoint_reading import LAST, PREVIOUS, newest_valid
from seqmodels.training.checkpointing import RecipeInCheckpoint, build_task, check_continues, recipe_of
from seqmodels.training.failures import explain_failures
from seqmodels.training.model_folder import save_model
from seqmodels.training.processes import processes
from seqmodels.training.quiet import quiet
from seqmodels.training.refitting import StopAfter, best_checkpoint, check_refit, refit_config, save_refit
from seqmodels.training.resuming import ResumePoints, StepSeeds, csv_rows
from seqmodels.training.runs import prepare_run_folder, resolved_config, write_json, write_results
from seqmodels.training.trained import Recipe

log = logging.getLogger(__name__)

PARTS = (
    *("cell", "regularizers", "initializer", "front", "top", "pooling", "attention", "scheduled_sampling"),
    *("optimizer", "scheduler", "features", "waveform"),
    *("vocabulary", "data", "augmentation", "trainer", "callbacks", "logger"),
)
REQUIRED = ("data", "task", "model", "optimizer", "trainer", "callbacks", "logger", "paths")


def train(config: DictConfig, *callbacks: Callback) -> dict[str, float]:
    """Train and test the model of a configuration, and write the run folder.

    Args:
        config: a composed configuration with the keys of ``configs/train.yaml``.
        callbacks: further callbacks, in addition to those of the configuration.

    Returns:
        The final metrics by name, with the number of ``parameters`` and the ``seconds`` of training.

    Raises:
        ConfigError: the configuration is wrong, or its data do not suit its task; raised before training starts.
    """
    with quiet():
        parts = check_config(config)
        check_length(parts)
        check_refit(config, parts)
        checked_seed(config.seed)
        checkpoint = starting_checkpoint(config)
        data = load_data(parts, "fit")
        done = _trained(config, parts, data, checkpoint, callbacks)
        folder, metrics = Path(config.paths.output_dir), done.metrics
        if config.refit is not None:
            best = best_checkpoint(done.trainer)
            if best is None:
                raise ConfigError("refit=all: the run kept no best checkpoint")
            epochs = best["epoch"] + 1
            log.info("refit=all: training on all data for %d epochs, those of the best checkpoint", epochs)
            data.join_splits()
            again = refit_config(config, done.trainer.max_epochs)
            last, own = starting_checkpoint(again), (*callbacks, StopAfter(epochs))
            done = _trained(again, check_config(again), data, last, own)
            save_refit(done.trainer, done.task, best)
            metrics["refit/epochs"] = epochs
        if done.trainer.is_global_zero:
            write_json(folder / "metrics.json", metrics)
            save_model(folder / "model", done.task.model, done.recipe, metrics)
        return metrics


class Trained(NamedTuple):
    """A network after its training, before its results are written."""

    trainer: Trainer
    task: Task[Any]
    recipe: Recipe
    metrics: dict[str, float]


def _trained(
    config: DictConfig,
    parts: Mapping[str, Any],
    data: DataModule,
    checkpoint: Path | None,
    callbacks: Sequence[Callback],
) -> Trained:
    """Train and test once, starting from a checkpoint if one is given."""
    folder, resolved = Path(config.paths.output_dir), resolved_config(config)
    seed = checked_seed(config.seed)
    seed_everything(seed, workers=True, verbose=False)
    recipe = recipe_of(resolved, data)
    task = build_task(config, data.sizes, data.preprocessing)
    if checkpoint is not None:
        check_continues(checkpoint, task)
    own, logged = (StepSeeds(seed), RecipeInCheckpoint(recipe), LastValidation()), log_hyperparameters(config)
    trainer = build_trainer(parts, *own, logged, *callbacks, on_full_disk=config.on_full_disk)
    with (
        processes(trainer, "train", resolved),
        cpu_threads(threads_for(config.threads, task, data.batch_size)),
        tf32(config.tf32),
        own_wandb_run(trainer),
        ExitStack() as stack,
    ):
        if trainer.is_global_zero:
            prepare_run_folder(folder, resolved)
            stack.enter_context(occupied(folder))
        started = time.perf_counter()
        fit(trainer, task, data, checkpoint)
        seconds = time.perf_counter() - started
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        best = best_checkpoint(trainer)
        metrics |= lengths(trainer) | best_metrics(trainer, best)
        if trainer.is_global_zero:
            log.info("%s", account(trainer, metrics))
        if config.test and not data.has_test:
            log.info("there is no test split: the model is not tested")
        if config.test and data.has_test:
            metrics |= test(trainer, task, data)
            if trainer.is_global_zero:
                write_results(folder, task)
                metrics |= baseline_metrics(task, data, metrics) if config.get("baselines", True) else {}
        elif best is not None:
            task.load_state_dict(best["state_dict"])  # as a test does: the model folder holds the best weights
        logged.compare(trainer, metrics)
    metrics["parameters"] = sum(parameter.numel() for parameter in task.model.parameters())
    metrics["seconds"] = round(seconds + seconds_before(trainer), 2)
    return Trained(trainer, task, recipe, metrics)


def check_config(config: DictConfig) -> dict[str, Any]:
    """Check every part against its signature, and the data against the task, before anything is built.

    Returns:
        The parts as plain data, every interpolation resolved, from which they are built.

    Raises:
        ConfigError: a key or value is invalid, or data and task do not match; the message names valid ones.
    """
    for part in REQUIRED:
        if config.get(part) is None:
            raise ConfigError(f"{part} is missing: {part}=... chooses one")
    for part in ("model", "task"):
        plain(config[part])  # raises if it refers to a part that is not chosen
    parts = {part: plain(config.get(part)) for part in PARTS}
    for part, node in parts.items():  # before the model that refers to them, so that errors name the key that was set
        check(node, part)
    for group in ("augmentation", "callbacks", "logger"):
        check_entries(parts[group], group)
    check_accelerator(parts["trainer"])
    data, task = target_of(config.data), target_of(config.task)
    yields, needs = getattr(data, "target_kind", None), getattr(task, "needs", None)
    if yields is not None and needs is not None and yields != needs:
        fitting = ", ".join(dataset.name for dataset in (*DATASETS, *READERS) if dataset.target_kind == needs)
        raise ConfigError(
            f"data ({data.__name__}) yields targets for {yields}, "
            f"but task ({task.__name__}) needs targets for {needs}; use task={yields}, or data= one of {fitting}"
        )
    return parts


def starting_checkpoint(config: DictConfig) -> Path | None:
    """Return the checkpoint that training starts from: ``ckpt_path``, the last one of a run to resume, or None.

    A run that was interrupted before its first resume point starts from scratch.

    Raises:
        ConfigError: the resume points of the run are damaged.
    """
    if config.get("resume") is None:
        return None if config.ckpt_path is None else Path(config.ckpt_path)
    folder = Path(config.paths.output_dir, "checkpoints")
    point = newest_valid(folder)
    if point is not None and point.name == PREVIOUS:
        restore_previous(folder / LAST)
        return folder / LAST
    if point is not None and point.name == LAST:
        return point
    if any((folder / name).exists() for name in (LAST, PREVIOUS)):
        hint = f"; ckpt_path={point} starts a new run from its best weights" if point else ""
        raise ConfigError(f"the resume points in {folder} are damaged, so the run cannot be resumed exactly{hint}")
    return None


def load_data(parts: Mapping[str, Any], stage: str) -> DataModule:
    """Build the data module of a configuration and read its data.

    Raises:
        ConfigError: a file is missing, damaged or cannot be downloaded.
    """
    augmentation = (construct(parts["augmentation"], "augmentation") or {}) if stage == "fit" else {}
    data: DataModule = construct(parts["data"], "data", {"augmentation": list(augmentation.values())})
    try:
        data.prepare_data()
        data.setup(stage)
    except FileNotFoundError as error:
        hint = "; set another folder with paths.data_dir=FOLDER or the environment variable SEQMODELS_DATA_DIR"
        raise ConfigError(f"data={data.name}: {error}{hint if data.folder else ''}") from error
    except OSError as error:
        raise ConfigError(f"data={data.name}: {error}") from error
    return data


def build_trainer(
    parts: Mapping[str, Any], *callbacks: Callback, logging: bool = True, on_full_disk: OnFullDisk = "stop"
) -> Trainer:
    """Build the trainer with its callbacks and loggers; without logging, with its progress bar alone."""
    loggers = list(construct(parts["logger"], "logger").values()) if logging else []
    entries = [callback for callback in construct(parts["callbacks"], "callbacks").values() if callback is not None]
    if not logging:
        entries = [callback for callback in entries if isinstance(callback, ProgressBar)]
    if any(isinstance(callback, RichProgressBar) for callback in entries):
        entries.append(EpochLines())  # the bar shows one epoch at a time
    if not loggers:  # Lightning rejects a LearningRateMonitor without a logger
        entries = [callback for callback in entries if not isinstance(callback, LearningRateMonitor)]
    entries.sort(key=lambda callback: not isinstance(callback, ResumePoints))  # must run first at each step
    given = {
        "callbacks": [*entries, *callbacks],
        "plugins": [DurableCheckpointIO(on_full_disk)],
        "logger": loggers or False,
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in entries),
        "enable_checkpointing": any(hasattr(callback, "best_model_path") for callback in entries),
        "use_distributed_sampler": False,  # the data modules distribute their rows themselves, without repeats
    }
    node = dict(parts["trainer"])
    if node.get("max_epochs") is None:
        node["max_epochs"] = -1  # until TrainingLength sets a number, or max_steps ends the training
        given["callbacks"] = [TrainingLength(), *entries, *callbacks]  # before early stopping reads when it is due
    trainer: Trainer = construct(node, "trainer", given)
    return trainer


def seconds_before(trainer: Trainer) -> float:
    """Return how many seconds a run had taken before it was resumed."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return sum((callback.seconds for callback in callbacks if isinstance(callback, ResumePoints)), 0.0)


def fit(trainer: Trainer, task: LightningModule, data: DataModule, ckpt_path: Path | None = None) -> None:
    """Train, starting from a checkpoint if one is given.

    Raises:
        ConfigError: early stopping monitors a metric that is not logged.
        Interrupted: a signal asked the run to stop; a resume point has been saved.
        RunFailed: memory ran out, a loss or gradient is not finite, or a batch cannot be read.
    """
    if trainer.is_global_zero:
        (csv_rows.discard_backup if ckpt_path is None else csv_rows.back_up)(trainer)
    with explain_failures(task, data):
        trainer.fit(task, datamodule=data, ckpt_path=ckpt_path, weights_only=True)


def test(trainer: Trainer, task: LightningModule, data: DataModule) -> dict[str, float]:
    """Return the test metrics of the best checkpoint if the trainer kept one, else of the current weights."""
    best = getattr(trainer.checkpoint_callback, "best_model_path", "") or None
    if best is not None and not Path(best).is_file():
        log.warning("there was no disk space for %s: testing the last weights instead", best)
        best = None
    (metrics,) = trainer.test(task, datamodule=data, ckpt_path=best, weights_only=True, verbose=False)
    return {name: float(value) for name, value in metrics.items()}
