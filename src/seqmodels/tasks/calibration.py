"""Split-conformal calibration of the intervals of a forecaster."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

LIMIT = 2**24  # scores that are kept, 64 MiB


class ConformalScores(Metric):
    """Collect how wide intervals must be to contain each target of a validation part; their quantile is the margin.

    Split-conformal prediction (Vovk et al., 2005; for quantiles Romano et al., 2019, arXiv 1905.03222): the margin of
    a step and series is the ``ceil((n + 1) * share)``-th smallest of its n scores
    (:meth:`~seqmodels.models.likelihoods.Likelihood.score`). Whatever the network and its likelihood are, the interval
    then covers at least ``share`` of new outcomes on average, if these are exchangeable with the validation part.

    If there are more than :data:`LIMIT` scores, every second window is kept, or every fourth, and so on.

    Args:
        share: the share of outcomes to cover.

    Example:
        >>> scores = ConformalScores(share=0.5)
        >>> scores.update(torch.tensor([3.0, 1.0, 2.0, 5.0])[:, None, None])  # n = 4: the third smallest
        >>> scores.compute()
        tensor([[3.]])
    """

    full_state_update = False
    scores: list[Tensor]

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.add_state("scores", [], dist_reduce_fx="cat")
        self._seen = 0
        self._stride = 1

    def update(self, scores: Tensor) -> None:
        """Add the scores ``(batch, horizon, output)`` of a batch of windows."""
        self.scores.append(scores[-self._seen % self._stride :: self._stride].float())
        self._seen += len(scores)
        if sum(kept.numel() for kept in self.scores) > LIMIT:
            self.scores = [torch.cat(self.scores)[::2]]
            self._stride *= 2

    def reset(self) -> None:
        super().reset()
        self._seen, self._stride = 0, 1

    def compute(self) -> Tensor:
        """Return the margin, ``(horizon, output)``, on the CPU; the greatest score if there are too few of them."""
        # kthvalue has no deterministic implementation on a GPU
        scores = torch.cat(self.scores) if isinstance(self.scores, Sequence) else self.scores
        return scores.cpu().kthvalue(min(rank_of(self.share, len(scores)), len(scores)), 0).values


def rank_of(share: float, windows: int) -> int:
    """Return the rank of the score that covers ``share`` of new outcomes; more than ``windows`` if they are too few."""
    return math.ceil((windows + 1) * share - 1e-9)


def windows_needed(share: float) -> int:
    """Return the least number of windows from which an interval that covers ``share`` can be calibrated."""
    return math.ceil(share / (1 - share) - 1e-9)
