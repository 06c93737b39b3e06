"""Running a cell over time, by one of several back-ends that agree."""

from seqmodels.backends.backend import Backend
from seqmodels.backends.unrolling import BACKENDS, backends_for, unroll

__all__ = ["BACKENDS", "Backend", "backends_for", "unroll"]
