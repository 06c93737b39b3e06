"""Logistic regression on statistics of each series."""

import torch
from torch import Tensor

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.sequences import Sequences
from seqmodels.training.baselines.linear import log_odds
from seqmodels.training.baselines.resampling import resampled
from seqmodels.training.baselines.rows import batches, sampled

STEPS = 1024  # longer series are resampled
FREQUENCIES = 6
WORK = 1e8  # train rows x features x outputs
VALUES = 2e7  # of the features in memory


def summary(train: Sequences, test: Sequences, outputs: int) -> Tensor:
    """Return logits ``(test rows, outputs)`` of a logistic regression on :func:`statistics`, standardised.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415  (an extra)

    steps = min(int(train.lengths.max()), STEPS)
    width = statistics(train.__getitems__([0]), steps).shape[1]
    rows = sampled(train, int(min(VALUES, WORK / outputs) / width), "summary")
    scale = StandardScaler()
    features = scale.fit_transform(torch.cat([statistics(batch, steps) for batch in batches(train, rows)]).numpy())
    tests = (scale.transform(statistics(batch, steps).numpy()) for batch in batches(test, range(len(test))))
    return log_odds(features, train.targets[list(rows)], tests, outputs)


def statistics(batch: SequenceBatch, steps: int) -> Tensor:
    """Return statistics of the series of a batch, resampled to ``steps``: ``(batch, features)``.

    For each channel: mean, deviation, smallest and largest value, quartiles, first and last value, slope, mean absolute
    change and the strength of the lowest frequencies; and the length of the series.
    """
    series = resampled(batch, steps)
    mean = series.mean(1)
    time = torch.linspace(-1, 1, steps)[:, None]
    waves = torch.fft.rfft(series - mean[:, None], dim=1).abs()[:, 1 : FREQUENCIES + 1] / steps
    found = [
        mean,
        series.std(1, correction=0),
        series.amin(1),
        series.amax(1),
        *series.quantile(torch.tensor([0.25, 0.5, 0.75]), dim=1),
        series[:, 0],
        series[:, -1],
        (series * time).mean(1),
        series.diff(dim=1).abs().sum(1) / steps,
        *waves.unbind(1),
        batch.lengths[:, None].float(),
    ]
    return torch.cat(found, 1)
