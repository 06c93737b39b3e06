"""The run folder: its files other than checkpoints and logs."""

import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from seqmodels.config.variables import environment_unresolved
from seqmodels.errors import ConfigError
from seqmodels.system.durable import remove_strays, write_csv, write_text
from seqmodels.system.json_text import json_text
from seqmodels.training.renamed import with_public_names

if TYPE_CHECKING:
    from seqmodels.tasks import Task

PACKAGES = ("seqmodels", "torch", "lightning", "hydra-core", "omegaconf", "torchmetrics", "numpy", "safetensors")


def resolved_config(config: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain data, with every interpolation resolved except those that read the environment.

    An environment variable may be a secret, and belongs to the machine rather than to the run: every value that
    contains one keeps ``${oc.env:NAME}``, also if it comes from another key or is part of a longer text.

    Raises:
        ConfigError: an interpolation cannot be resolved, or a mandatory value (``???``) is missing.
    """
    try:
        with environment_unresolved():
            plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def prepare_run_folder(folder: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.yaml`` and ``environment.json`` into a run folder; remove temporary files of killed processes.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in (folder, folder / "checkpoints", folder / "model"):
            remove_strays(part)
        write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dict(config))))
        write_json(folder / "environment.json", environment())
    except OSError as error:
        raise ConfigError(f"paths.output_dir={folder} cannot be written: {error}") from error


def check_no_run(folders: Sequence[Path]) -> None:
    """Check that folders for new runs hold no results, which would pass for those of the new runs.

    Raises:
        ConfigError: one of them holds metrics, a model or checkpoints.
    """
    for folder in folders:
        results = [folder / "metrics.json", folder / "model", *sorted((folder / "checkpoints").glob("*.ckpt"))]
        found = ", ".join(str(path.relative_to(folder)) for path in results if path.exists())
        if found:
            again = shlex.quote(f"resume={folder}")
            raise ConfigError(
                f"the folder {folder} already holds another run ({found}): delete it, choose another folder with "
                f"hydra.run.dir= (of a multirun: hydra.sweep.dir=), or continue that run with {again}"
            )


def environment() -> dict[str, Any]:
    """Return what a run depends on besides its configuration: versions, machine, time, command."""
    import torch  # noqa: PLC0415  (this module is imported by commands that must start fast)

    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }


def write_json(path: Path, content: Any) -> None:
    """Write plain data as indented JSON, atomically; numbers that are not finite become null."""
    write_text(path, json_text(content, indent=2) + "\n")


def write_tables(folder: Path, tables: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write tables, none of them empty, as CSV files of a folder, by name."""
    for name, rows in tables.items():
        write_csv(folder / name, list(rows[0]), [list(row.values()) for row in rows])


def write_results(folder: Path, task: "Task[Any]") -> None:
    """Write the tables and pictures of the last test of a task to a folder."""
    write_tables(folder, task.tables())
    for name, picture in task.pictures().items():
        write_text(folder / name, picture)


def read_config(path: Path) -> dict[str, Any]:
    """Read a ``config.yaml`` that :func:`prepare_run_folder` wrote, as plain data.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        config = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"cannot read {path}: it must hold keys and values")
    return {str(key): value for key, value in with_public_names(config).items()}
