"""Write ``record.json`` into the folder of a run or an evaluation."""

import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from seqmodels.system.durable import write_text
from seqmodels.system.json_text import json_text
from seqmodels.tasks import Task
from seqmodels.training.recording.outputs import tested
from seqmodels.training.records.record import RECORD

log = logging.getLogger(__name__)
SPLITS = ("train", "val", "test")


class RunRecord(Callback):
    """Keep what a report shows and no other file of the folder has.

    The first process writes the file after training and after a test, where all processes choose its examples together.
    Its size is bounded (see :mod:`~seqmodels.training.recording.outputs`); a failure is a warning, never the end of a
    run.

    Args:
        folder: the folder of the run or evaluation.
        recipe: that of the model, with its preprocessing and classes.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        self.folder = folder
        self.recipe = recipe
        self.content: dict[str, Any] = {"phases": {}}
        self._started: dict[str, float] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._start("training")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._start("validation")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._stop("validation")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._stop("training")
        phases = self.content["phases"]
        if "validation" in phases:  # which is a part of the training
            phases["training"]["seconds"] -= phases["validation"]["seconds"]
        self._write(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._start("test")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop("test")
        if isinstance(pl_module, Task):
            self.content["test"] = tested(trainer, pl_module, self.recipe)
        self._write(trainer)

    def _start(self, phase: str) -> None:
        self._started[phase] = time.perf_counter()

    def _stop(self, phase: str) -> None:
        if phase not in self._started:
            return
        seconds = time.perf_counter() - self._started.pop(phase)
        found = self.content["phases"].setdefault(phase, {"seconds": 0.0})
        found["seconds"] += seconds
        found |= _memory()

    def _write(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            return
        data = getattr(trainer, "datamodule", None)
        self.content["data"] = {"name": getattr(data, "name", ""), "rows": _rows(data), "batches": _batches(trainer)}
        self.content["processes"] = trainer.world_size
        try:
            write_text(self.folder / RECORD, json_text(self.content) + "\n")
        except OSError as error:
            log.warning("%s cannot be written, so that the report lacks examples: %s", self.folder / RECORD, error)


def _memory() -> dict[str, int]:
    """Return the largest memory of the process so far, and on a GPU that of its tensors, in bytes."""
    found = {"device_memory": torch.cuda.max_memory_allocated()} if torch.cuda.is_initialized() else {}
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  (Windows has none)

        unit = 1 if sys.platform == "darwin" else 1024
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return found


def _rows(data: Any) -> dict[str, int]:
    """Return the number of rows of each split that has rows; texts that are read in windows have tokens in place."""
    found: dict[str, int] = {}
    for name in SPLITS:
        split: Any = getattr(data.prepared.splits, name, None) if hasattr(data, "prepared") else None
        if hasattr(split, "__len__"):
            found[name] = len(split)
    return found


def _batches(trainer: Trainer) -> dict[str, float]:
    found = {"train": trainer.num_training_batches, "val": sum(trainer.num_val_batches)}
    return {name: number for name, number in found.items() if number}
