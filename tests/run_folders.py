"""Folders as runs leave them, without any training."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from seqmodels.training.runs import resolved_config
from tests.composing import composed

CHOICES = {"cell": "lstm", "data": "digits", "task": "classification", "hydra/launcher": "basic", "experiment": None}


def run_folder(
    folder: Path, *overrides: str, metrics: Mapping[str, Any] | None = None, ended: float = 0.0, log: str = ""
) -> Path:
    """Write the folder of a run; ``ended`` are seconds since 1970. Without metrics the run has not finished."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_bytes(bytes(100))
    OmegaConf.save(OmegaConf.create(resolved_config(composed(folder, *overrides))), folder / "config.yaml")
    OmegaConf.save(OmegaConf.create([*overrides]), folder / ".hydra" / "overrides.yaml")
    typed = dict(line.partition("=")[::2] for line in overrides)
    choices = {key: typed.get(key, value) for key, value in CHOICES.items()}
    node = {"overrides": {"task": [*overrides]}, "runtime": {"choices": choices}}
    OmegaConf.save(OmegaConf.create({"hydra": node}), folder / ".hydra" / "hydra.yaml")
    (folder / "environment.json").write_text('{"packages": {"seqmodels": "0"}}')
    (folder / "train.log").write_text(log)
    (folder / "metrics.csv").write_text("epoch,step,val/loss\n0,9,0.5\n1,19,0.4\n,20,\n")
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    for name in ("metrics.json", "metrics.csv", "train.log", "checkpoints", "."):
        if (folder / name).exists():
            os.utime(folder / name, (ended, ended))
    return folder
