"""Test a finished run: on the test split of its data, or on another file."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from omegaconf import DictConfig

from seqmodels.config.build import plain, target_of
from seqmodels.data import DataModule, Loading
from seqmodels.data.loaders import ResumableLoader, Split
from seqmodels.data.series.windows import WindowDataset
from seqmodels.errors import ConfigError
from seqmodels.system.tf32 import tf32
from seqmodels.system.threads import cpu_threads, threads_for
from seqmodels.tasks import Forecasting, Task
from seqmodels.tasks.backtest import backtest
from seqmodels.training.baselines import baseline_metrics
from seqmodels.training.checkpointing import load_trained
from seqmodels.training.finding import weights_of
from seqmodels.training.fit import build_trainer, check_config, load_data
from seqmodels.training.processes import processes
from seqmodels.training.quiet import quiet
from seqmodels.training.runs import resolved_config, write_json, write_results, write_tables
from seqmodels.training.trained import Recipe, preprocessing_of, set_search


def evaluate(config: DictConfig) -> dict[str, float]:
    """Test a checkpoint of a finished run, on the test split of its data or on the file ``config.input``.

    Everything that was fitted in training, such as vocabulary, classes and scale, comes from the checkpoint.

    Args:
        config: a composed configuration with the keys of ``configs/evaluate.yaml``.

    Returns:
        The test metrics by name.

    Raises:
        ConfigError: the checkpoint cannot be read, or the data are no longer those of the training.
        ValueError: ``config.input`` cannot be read or has no targets; the message names file and line.
    """
    with quiet():
        parts, folder = check_config(config), Path(config.paths.output_dir)
        task, recipe = load_trained(weights_of(config.run, config.ckpt or (None if config.input else "best")))
        check_backtest(task, config.backtest)
        set_search(task, config)
        data = data_of_run(parts, recipe) if config.input is None else None
        split = labelled_split(config, recipe) if data is None else test_split(data)
        options = loading_of(parts["data"])
        trainer = build_trainer(parts, logging=False)
        with (
            processes(trainer, "evaluate", resolved_config(config)),
            cpu_threads(threads_for(config.get("threads"), task, options.rows("test"))),
            tf32(config.get("tf32", True)),
        ):
            if config.backtest is None:
                (found,) = trainer.test(task, datamodule=TestData(split, options), verbose=False)
                metrics = {name: float(value) for name, value in found.items()}
                if trainer.is_global_zero:
                    write_results(folder, task)
                if data is not None and trainer.is_global_zero and config.get("baselines", True):
                    metrics |= baseline_metrics(task, data, metrics)
            else:
                task.to(trainer.strategy.root_device)
                assert isinstance(task, Forecasting)
                assert isinstance(split, WindowDataset)
                metrics, tables = backtest(task, split, config.backtest, options.rows("test"))
                if trainer.is_global_zero:
                    write_tables(folder, tables)
        if trainer.is_global_zero:
            write_json(folder / "metrics.json", metrics)
        return metrics


def check_backtest(task: Task[Any], origins: Any) -> None:
    """Check the number of origins of a backtest, None for none, before any data are read.

    Raises:
        ConfigError: the model does not forecast, or ``origins`` is not a positive whole number.
    """
    if origins is None:
        return
    if not isinstance(task, Forecasting):
        raise ConfigError("backtest= tests forecasts, and the model of this run makes none: leave it out")
    if not isinstance(origins, int) or isinstance(origins, bool) or origins < 1:
        raise ConfigError(f"backtest must be a number of origins to forecast from, at least 1, got {origins!r}")


class TestData(LightningDataModule):
    """A single split to test on."""

    def __init__(self, split: Split[Any], loading: Loading) -> None:
        super().__init__()
        self.split = split
        self.loading = loading

    def test_dataloader(self) -> ResumableLoader[Any]:
        assert self.trainer is not None
        return self.split.loader(
            "test", self.loading, rank=self.trainer.global_rank, world_size=self.trainer.world_size
        )


def data_of_run(parts: Mapping[str, Any], recipe: Recipe) -> DataModule:
    """Return the data of a run, as they were in its training.

    Raises:
        ConfigError: what is fitted on the data now differs from the training: the data have changed.
    """
    data = load_data(parts, "test")
    now: dict[str, Any] = {**data.preprocessing, "classes": list(data.class_names)}
    then = {**(recipe.get("preprocessing") or {}), "classes": list(recipe["class_names"])}
    changed = [name for name, value in then.items() if json.dumps(now.get(name)) != json.dumps(value)]
    if changed:
        raise ConfigError(
            f"data={data.name}: the data have changed since training, which would refit {', '.join(changed)}; "
            "input=FILE tests the model of the run on other data"
        )
    return data


def test_split(data: DataModule) -> Split[Any]:
    """Return the test split of the data of a run.

    Raises:
        ConfigError: there is none.
    """
    try:
        split: Split[Any] = data.split("test")
    except ValueError as error:
        raise ConfigError(f"{error}; input=FILE tests the model of the run on a file") from error
    return split


def labelled_split(config: DictConfig, recipe: Recipe) -> Split[Any]:
    """Return the records of ``config.input`` with their targets, prepared as in training.

    Raises:
        ValueError: the file cannot be read or has no targets, or unknown classes.
    """
    preprocessing = preprocessing_of(recipe)
    split = preprocessing.labelled(preprocessing.read(config.input, config.format), recipe["class_names"])
    kind, sizes = target_of(config.task).needs, recipe["sizes"]
    split.check("test", kind, sizes, loading_of(plain(config.data)))
    return split


def loading_of(node: Mapping[str, Any]) -> Loading:
    """Return the batching options among the keys of a data set."""
    names = {field.name for field in fields(Loading)}
    return Loading(**{name: value for name, value in node.items() if name in names})
