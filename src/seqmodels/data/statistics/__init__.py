"""Statistics of what a network reads: kept with a trained model, and compared with new data."""

from seqmodels.data.statistics.distributions import describe, describe_split
from seqmodels.data.statistics.rows import sampled

__all__ = ["describe", "describe_split", "sampled"]
