"""Split-conformal calibration of the intervals of a forecaster."""

import logging
import math

import torch
from torch import Tensor
from torchmetrics import Metric

from seqmodels.models.likelihoods import Likelihood

LIMIT = 2**24  # scores that are kept, 64 MiB
ROUNDING = 1e-9  # of products with a share

log = logging.getLogger(__name__)


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
        >>> scores.update(torch.tensor([[3.0, 7.0], [1.0, 6.0], [2.0, 9.0], [5.0, 4.0]])[..., None])  # 4 windows
        >>> scores.compute()  # the third smallest of each step
        tensor([[3.],
                [7.]])
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
        while sum(kept.numel() for kept in self.scores) > LIMIT:
            self.scores = [torch.cat(self.scores)[::2]]
            self._stride *= 2

    def reset(self) -> None:
        super().reset()
        self._seen, self._stride = 0, 1

    @property
    def windows(self) -> int:
        """Number of windows in this process whose scores are kept."""
        return sum(map(len, self.scores))

    def compute(self) -> Tensor:
        """Return the margin, ``(horizon, output)``, on the CPU; the greatest score if there are too few of them."""
        scores = torch.cat(self.scores) if isinstance(self.scores, list) else self.scores  # a tensor from all processes
        rank = math.ceil((len(scores) + 1) * self.share - ROUNDING)
        # kthvalue has no deterministic implementation on a GPU
        return scores.cpu().kthvalue(min(rank, len(scores)), 0).values


def checked_share(likelihood: Likelihood, interval: float | None, *, calibrate: bool) -> float:
    """Return the share of the outcomes that intervals cover; by default that of the likelihood.

    Raises:
        ValueError: it is not a share, or is neither calibrated nor stated by the likelihood.
    """
    if interval is None:
        return likelihood.share
    if not 0 < interval < 1:
        raise ValueError(f"interval must be a share of the outcomes between 0 and 1, got {interval}")
    if not calibrate and likelihood.stated_margin(interval) is None:
        raise ValueError(
            f"{likelihood!r} states no interval that covers {interval:g}: calibrate it (task.calibrate=true), or "
            "forecast the quantiles at its ends (likelihood.levels)"
        )
    return interval


def warn_of_few(windows: int, share: float) -> None:
    """Warn if there are validation windows, but too few for an interval that covers a share of the outcomes."""
    needed = math.ceil(share / (1 - share) - ROUNDING)
    if 0 < windows < needed:
        log.warning(
            "the validation part has %d windows, and calibrating intervals that cover %g of the outcomes takes %d: "
            "low and high are those of the greatest error",
            *(windows, share, needed),
        )
