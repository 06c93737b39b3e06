"""Learning-rate schedules that ``torch.optim.lr_scheduler`` does not have in one call."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(optimizer: Optimizer, *, total_steps: int, warmup: float = 0.1) -> LambdaLR:
    """Raise the learning rate linearly over a share ``warmup`` of all steps, then let it fall to zero by half a cosine.

    The rate is a closed form of the step, so that a resumed run continues exactly.

    Raises:
        ValueError: ``warmup`` is not in [0, 1).
    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must lie in [0, 1), got {warmup}")
    rising = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        done = min(1.0, (step - rising) / max(1, total_steps - rising))
        return 0.5 * (1 + math.cos(math.pi * done))

    return LambdaLR(optimizer, factor)
