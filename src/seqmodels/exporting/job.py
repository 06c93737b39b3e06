"""``seqmodels export``: a trained model in a format for elsewhere."""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig
from torch import nn

from seqmodels.errors import ConfigError, nearest
from seqmodels.exporting.checking import TOLERANCE
from seqmodels.exporting.folder import export_folder, outside
from seqmodels.system.durable import check_writable, remove_strays, temporary_path, write_durably
from seqmodels.system.json_text import json_text, read_json
from seqmodels.training.finding import weights_of
from seqmodels.training.records.folders import METRICS
from seqmodels.training.trained import Recipe, load_network

PREPROCESSING = "preprocessing.json"
"""What the graph leaves to its caller."""

Files = tuple[dict[str, bytes], list[str]]
"""Contents of files by name, and lines that say what was done."""


class Job(NamedTuple):
    """What to export, and how."""

    model: nn.Module
    recipe: Recipe
    metrics: Mapping[str, float]  # of the run, for a card
    dtype: str
    weights: str  # of format=c: inside the C file, or in a bin
    tolerance: float
    measure: Callable[[Mapping[str, Callable[..., Any]]], list[str]]  # by how much dtype=int8 makes it worse


def export(config: DictConfig) -> list[str]:
    """Write a trained model in a format; return lines that say what was done.

    The model is compared with what was exported at three lengths and two batch sizes before anything is written.

    Args:
        config: with the keys of ``configs/export.yaml``.

    Raises:
        ConfigError: an option is wrong, a file exists already, the run cannot be read, or its model cannot be exported.
    """
    if config.format not in FORMATS:
        hint = nearest(config.format, FORMATS)
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}, got {config.format!r}{hint}")
    if config.dtype not in ("float32", "int8"):
        raise ConfigError(f"dtype must be float32 or int8, got {config.dtype!r}")
    if config.dtype == "int8" and config.format not in IN_INT8:
        raise ConfigError(f"dtype=int8 is for format={' or '.join(IN_INT8)}, not for format={config.format}")
    if config.weights not in ("inside", "bin"):
        raise ConfigError(f"weights must be inside or bin, got {config.weights!r}")
    if config.weights == "bin" and config.format != "c":
        raise ConfigError(f"weights=bin is for format=c, not for format={config.format}")
    tolerance = TOLERANCE if config.tolerance is None else config.tolerance
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise ConfigError(f"tolerance must be a number of at least 0, got {tolerance!r}")
    place = _weights(config)
    model, recipe = load_network(place)
    job = Job(model, recipe, _metrics(place), config.dtype, config.weights, tolerance, partial(_accuracy_lost, place))
    try:
        files, lines = FORMATS[config.format](job)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("onnx", "onnxruntime", "onnxscript", "onnx_ir"):
            raise
        raise ConfigError(f"format=onnx needs the package {error.name}: pip install 'seqmodels[onnx]'") from error
    if config.format != "folder":
        content, left = outside(job.model, recipe, config.format)
        files[PREPROCESSING] = f"{json_text(content, indent=2)}\n".encode()
        inside = "the C file" if config.format == "c" else "the graph"
        lines += [f"not in {inside}, but in {PREPROCESSING}: {line}" for line in left]
    _write(Path(config.output), files)
    return lines


def _weights(config: DictConfig) -> Path:
    """Return the checkpoint or model folder to export; check that the output can be written first."""
    place = weights_of(str(config.run), config.ckpt)
    output = Path(config.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"output={output} exists and is not an empty folder: name another one, or delete it")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        check_writable(output.parent)
    except OSError as error:
        raise ConfigError(f"output={output} cannot be written: {error.strerror}") from error
    return place


def _metrics(place: Path) -> dict[str, float]:
    """Return the metrics of the run that a checkpoint lies in; none for other files."""
    path = place.parent.parent / METRICS if place.parent.name == "checkpoints" else place.parent / METRICS
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def _write(output: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder, which gets its name when it is complete; of two exports at a time, the first that is."""
    remove_strays(output.parent)
    unfinished = temporary_path(output)
    try:
        for name, content in files.items():
            unfinished.mkdir(exist_ok=True)
            write_durably(unfinished / name, lambda file, content=content: file.write(content))  # type: ignore[misc]
        try:
            if output.is_dir():
                output.rmdir()
            unfinished.rename(output)
        except OSError as error:
            why = "it was filled meanwhile, perhaps by another export" if output.exists() else error.strerror
            raise ConfigError(f"output={output} cannot be written: {why}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _folder(job: Job) -> Files:
    return export_folder(job.model, job.recipe, job.metrics)


def _onnx(job: Job) -> Files:
    from seqmodels.exporting.onnx import export_onnx  # noqa: PLC0415  (an extra)

    return export_onnx(job.model, dtype=job.dtype, tolerance=job.tolerance, measure=job.measure)


def _torch(job: Job) -> Files:
    from seqmodels.exporting.torch_export import export_torch  # noqa: PLC0415  (imports torch.export: two seconds)

    return export_torch(job.model, tolerance=job.tolerance)


def _c(job: Job) -> Files:
    from seqmodels.exporting.c import export_c  # noqa: PLC0415  (only where C is asked for)

    return export_c(
        job.model,
        dtype=job.dtype,  # type: ignore[arg-type]
        weights=job.weights,  # type: ignore[arg-type]
        tolerance=job.tolerance,
        measure=job.measure,
    )


def _accuracy_lost(place: Path, methods: Mapping[str, Callable[..., Any]]) -> list[str]:
    from seqmodels.exporting.accuracy import accuracy_lost  # noqa: PLC0415  (imports Lightning)

    return accuracy_lost(place, methods)


FORMATS: dict[str, Callable[[Job], Files]] = {"folder": _folder, "onnx": _onnx, "c": _c, "torch": _torch}
"""What writes each format."""
IN_INT8 = ("onnx", "c")
"""Formats that have weights in int8."""
