"""Learning-rate schedules that ``torch.optim.lr_scheduler`` does not have in one call."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(optimizer: Optimizer, *, warmup_epochs: int, epochs: int) -> LambdaLR:
    """Raise the learning rate linearly over ``warmup_epochs``, then let it fall to zero by half a cosine at ``epochs``.

    The rate is a closed form of the epoch, so that a resumed run continues exactly.

    Raises:
        ValueError: the warm-up does not fit into the epochs.
    """
    if not 0 <= warmup_epochs < epochs:
        raise ValueError(f"warmup_epochs must lie in [0, epochs), got {warmup_epochs} of {epochs}")

    def factor(epoch: int) -> float:
        if epoch < warmup_epochs:
            return (epoch + 1) / (warmup_epochs + 1)
        done = min(1.0, (epoch - warmup_epochs) / (epochs - warmup_epochs))
        return 0.5 * (1 + math.cos(math.pi * done))

    return LambdaLR(optimizer, factor)
