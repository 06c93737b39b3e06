"""The device that ``accelerator=`` names."""

import torch

from seqmodels.errors import ConfigError


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
            raise ConfigError("accelerator=gpu: torch finds no GPU on this machine; use accelerator=cpu or auto")
        return found or torch.device("cpu")
    try:
        return torch.empty(0, device=accelerator).device
    except (RuntimeError, AssertionError) as error:  # torch was built without it, or there is none
        raise ConfigError(f"accelerator={accelerator}: {str(error).splitlines()[0]}") from error
