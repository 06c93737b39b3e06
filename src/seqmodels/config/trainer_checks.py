"""Checks of the trainer's configuration before any data are read."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from seqmodels.errors import ConfigError
from seqmodels.system.devices import no_gpu

GPUS = {"gpu": (MPSAccelerator, CUDAAccelerator), "cuda": (CUDAAccelerator,), "mps": (MPSAccelerator,)}
GPUS["auto"] = GPUS["gpu"]


def check_accelerator(trainer: Mapping[str, Any]) -> None:
    """Check that this machine has the GPUs that the trainer asks for.

    Raises:
        ConfigError: it has none, or too few; the message says what torch finds, and what to do.
    """
    name, devices = trainer.get("accelerator"), trainer.get("devices")
    if not isinstance(name, str) or name not in GPUS:
        return
    found = next((accelerator for accelerator in GPUS[name] if accelerator.is_available()), None)
    if found is None:
        if name == "auto":
            return
        raise ConfigError(
            f"trainer.accelerator={name}: {_missing(name)}. "
            "trainer=cpu trains on this machine; seqmodels doctor shows what torch finds"
        )
    try:
        if devices not in (None, "auto"):
            found.parse_devices(devices)
    except MisconfigurationException as error:
        raise ConfigError(
            f"trainer.devices={devices}: torch finds {found.auto_device_count()} GPU(s) on this machine; "
            "trainer.devices=auto takes all of them, and seqmodels doctor names them"
        ) from error


def check_length(parts: Mapping[str, Any]) -> None:
    """Check that the trainer trains at all, and that early stopping has a validation to look at.

    Raises:
        ConfigError: it does not, or has none.
    """
    trainer = parts["trainer"]
    for key in ("max_steps", "max_epochs", "limit_train_batches"):
        if trainer.get(key) == 0:
            other = "" if key == "limit_train_batches" else f"; -1 sets no limit of {key.removeprefix('max_')}"
            raise ConfigError(f"trainer.{key}=0 trains nothing: set at least 1{other}")
    monitor = str(((parts["callbacks"] or {}).get("early_stopping") or {}).get("monitor"))
    if trainer.get("limit_val_batches") == 0 and monitor.startswith("val/"):
        raise ConfigError(
            f"trainer.limit_val_batches=0 leaves no validation, and early stopping monitors {monitor}: "
            "add callbacks.early_stopping=null"
        )


def _missing(name: str) -> str:
    if name == "mps" or (name == "gpu" and MPSAccelerator.is_available()):
        return "torch finds no GPU of Apple (mps) on this machine"
    return no_gpu()
