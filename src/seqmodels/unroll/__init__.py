"""Running a cell over time, by one of several back-ends that agree."""

from seqmodels.unroll.backend import Backend
from seqmodels.unroll.unroll import BACKENDS, backends_for, unroll

__all__ = ["BACKENDS", "Backend", "backends_for", "unroll"]
