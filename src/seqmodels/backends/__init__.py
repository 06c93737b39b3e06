"""Running a cell over time, by one of several back-ends that agree."""

from seqmodels.backends.backend import Backend
from seqmodels.backends.unrolling import BACKENDS, backends_for, unroll
from seqmodels.backends.watching import Unrolling, watching

__all__ = ["BACKENDS", "Backend", "Unrolling", "backends_for", "unroll", "watching"]
