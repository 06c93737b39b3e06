"""The device that ``accelerator=`` names."""

import torch

from seqmodels.errors import ConfigError

INSTALL = "install the torch of its CUDA version: https://pytorch.org/get-started/locally"


def device_of(accelerator: str) -> torch.device:
    """Return the device for ``cpu``, ``cuda`` or ``mps``; ``gpu`` is the one of this machine, ``auto`` that or the CPU.

    Raises:
        ConfigError: this machine does not have it.

    Example:
        >>> device_of("cpu")
        device(type='cpu')
    """
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator in ("auto", "gpu"):
        if found is None and accelerator == "gpu":
            raise ConfigError(f"accelerator=gpu: {no_gpu()}; use accelerator=cpu or auto")
        return found or torch.device("cpu")
    try:
        return torch.empty(0, device=accelerator).device
    except (RuntimeError, AssertionError) as error:  # torch was built without it, or there is none
        raise ConfigError(f"accelerator={accelerator}: {str(error).splitlines()[0]}") from error


def no_gpu() -> str:
    """Return why torch has no GPU, and what would change that.

    Example:
        >>> "torch" in no_gpu()
        True
    """
    if torch.version.hip is not None:
        return f"torch {torch.__version__}, a build for AMD GPUs, finds none"
    if torch.version.cuda is None:
        machine = "" if torch.backends.mps.is_built() else f"; if there is an NVIDIA GPU, {INSTALL}"
        return f"torch {torch.__version__} is a build without CUDA and finds no GPU{machine}"
    try:
        torch.cuda.init()
        reason = "there is none"
    except (RuntimeError, AssertionError) as error:  # no driver, or too old a one
        reason = str(error).split(". ")[0].splitlines()[0]
    return (
        f"torch {torch.__version__}, a build for CUDA {torch.version.cuda}, finds no GPU ({reason}); "
        f"with another driver, {INSTALL}"
    )
