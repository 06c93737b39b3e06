"""Running a cell over time, by one of several back-ends that agree."""

from seqmodels.unroll.unroll import BACKENDS, unroll

__all__ = ["BACKENDS", "unroll"]
