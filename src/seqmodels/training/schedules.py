"""Learning-rate schedules that need the length of the training."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR


def warmup_cosine(optimizer: Optimizer, *, total_steps: int, warmup: float = 0.1) -> LambdaLR:
    """Return a schedule of linear warm-up followed by cosine decay to zero.

    The rate is a closed-form function of the step, so a resumed run continues exactly.

    Args:
        optimizer: its learning rates are the peak of the schedule.
        total_steps: number of optimiser steps of the training.
        warmup: fraction of the steps over which the rate rises, in [0, 1).

    Returns:
        The schedule; call its ``step()`` after every optimiser step.

    Raises:
        ValueError: ``warmup`` is not in [0, 1).

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> warmup_cosine(optimizer, total_steps=10, warmup=0.2).get_last_lr()
        [0.3333333333333333]
    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must lie in [0, 1), got {warmup}")
    rising = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        progress = min(1.0, (step - rising) / max(1, total_steps - rising))
        return 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def cosine(
    optimizer: Optimizer,
    *,
    total_epochs: int,
    T_max: int | None = None,  # noqa: N803  (torch's name)
    eta_min: float = 0.0,
) -> CosineAnnealingLR:
    """Return torch's cosine schedule over all epochs.

    Args:
        optimizer: its learning rates are the start of the schedule.
        total_epochs: number of epochs of the training.
        T_max: epochs until the rate is ``eta_min``; ``total_epochs`` by default.
        eta_min: the last rate.

    Returns:
        The schedule; call its ``step()`` after every epoch.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> cosine(optimizer, total_epochs=10).T_max
        10
    """
    return CosineAnnealingLR(optimizer, T_max or total_epochs, eta_min)
