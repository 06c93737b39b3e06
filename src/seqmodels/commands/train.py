"""``seqmodels train`` and ``seqmodels evaluate``."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from seqmodels.commands.app import run_app
from seqmodels.commands.launch import from_first_process, is_first
from seqmodels.commands.resume import resume_tokens
from seqmodels.config.compose import config_folder, parse
from seqmodels.config.quoting import quoted
from seqmodels.errors import ConfigError, nearest
from seqmodels.training.finding import run_folder

CHANGEABLE = ("batch_size", "eval_batch_size", "num_workers", "bucketing", "data_dir", "download", "test_path")
"""Keys of ``data`` that change neither what was fitted in training nor which rows were trained on."""
FIXED = (
    "cell",
    "regularizers",
    "initializer",
    "pooling",
    "model",
    "task",
    "optimizer",
    "scheduler",
    "vocabulary",
    "seed",
    "name",
    "run_name",
)


def train(tokens: list[str]) -> int:
    """Train and test a model, print the metrics and the run folder; ``resume=DIR`` resumes a run."""
    return run_app("train", _train, tokens, lambda typed: from_first_process("tokens", lambda: resume_tokens(typed)))


def evaluate(tokens: list[str]) -> int:
    """Test a finished run; overrides change the configuration of that run, which ``run=DIR`` names."""
    return run_app("evaluate", _evaluate, tokens, _add_run_config)


def _train(config: DictConfig) -> Mapping[str, float]:
    from lightning.pytorch.utilities import rank_zero_only  # noqa: PLC0415  (slow, so after all checks)

    from seqmodels.commands.runs.report import write_after  # noqa: PLC0415
    from seqmodels.commands.tables import print_metrics  # noqa: PLC0415
    from seqmodels.training.fit import train as run  # noqa: PLC0415
    from seqmodels.training.resuming import Interrupted  # noqa: PLC0415

    try:
        metrics = run(config)
    except Interrupted as end:
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            command = shlex.join(["seqmodels", "train", f"resume={config.paths.output_dir}"])
            sys.stderr.write(f"seqmodels: stopped by {end}; resume with: {command}\n")
        raise SystemExit(end.status) from end
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    if first and config.report:
        write_after(config.paths.output_dir)
    if first and HydraConfig.get().mode != RunMode.MULTIRUN:  # a sweep prints one table for all its jobs
        print_metrics(metrics, config.paths.output_dir)
    return metrics


def _evaluate(config: DictConfig) -> Mapping[str, float]:
    from seqmodels.commands.runs.report import write_after_evaluation  # noqa: PLC0415
    from seqmodels.commands.tables import print_metrics  # noqa: PLC0415
    from seqmodels.training.evaluation import evaluate as run  # noqa: PLC0415

    metrics = run(config)
    if is_first():
        if config.get("report", True):
            about = {"run": config.run, "checkpoint": config.ckpt or "", "data": config.input or "its test split"}
            about["backtest"] = "" if config.backtest is None else f"{config.backtest} origins"
            write_after_evaluation(config.paths.output_dir, about)
        print_metrics(metrics, config.paths.output_dir)
    return metrics


def _add_run_config(tokens: list[str]) -> list[str]:
    """Add the folder of the run to the search path for configurations."""
    if "--hydra-help" in tokens:
        return tokens
    folder = _run_folder(tokens)
    _check_changes(tokens)
    place = quoted(f"file://{folder}")
    return [*tokens, f"run={quoted(str(folder))}", f"hydra.searchpath=[{place}]"]


def _check_changes(tokens: list[str]) -> None:
    """Check that no override changes a part that comes from the checkpoint, such as the network or its task."""
    for token in tokens:
        key, equals, _ = token.partition("=")
        part, _, option = key.lstrip("+~").partition(".")
        if equals and part in FIXED:
            raise ConfigError(
                f"{token}: {part} comes from the checkpoint and cannot be changed; "
                "trainer, callbacks, paths, threads and the batching of data can"
            )
        if equals and not option and (config_folder() / part).is_dir() and part != "data":
            raise ConfigError(
                f"{token}: seqmodels evaluate takes the {part} of the run, of which single keys can be set, "
                f"such as {'trainer.accelerator=cpu trainer.devices=1' if part == 'trainer' else f'{part}.KEY=VALUE'}"
            )
        if equals and part == "data" and option not in CHANGEABLE:
            raise ConfigError(
                f"{token}: the data of a run cannot be changed, since that would split and refit them; "
                f"input=FILE tests on other data (of data., {', '.join(CHANGEABLE)} can be changed)"
                f"{nearest(option, CHANGEABLE)}"
            )


def _run_folder(tokens: list[str]) -> Path:
    given = parse([token for token in tokens if token.startswith("run=")])
    if not given:
        raise ConfigError("seqmodels evaluate needs the folder of a finished run: run=logs/classification/<run>")
    found = run_folder(str(given[-1].value())).absolute()
    folder = found.parents[1] if found.is_file() else found
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"run={folder}: there is no run in this folder, {folder / 'config.yaml'} is missing")
    return folder
