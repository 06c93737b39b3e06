"""Lightning callbacks: guards against bad numbers, progress output, weight averaging, resume points."""

from seqmodels.training.callbacks.averaging import NonMonotonicAveraging
from seqmodels.training.callbacks.finite_steps import FiniteSteps
from seqmodels.training.callbacks.gradient_norms import GradientNorms
from seqmodels.training.callbacks.progress_bar import EpochLines, progress
from seqmodels.training.callbacks.training_length import TrainingLength
from seqmodels.training.resuming import ResumePoints

__all__ = [
    "EpochLines",
    "FiniteSteps",
    "GradientNorms",
    "NonMonotonicAveraging",
    "ResumePoints",
    "TrainingLength",
    "progress",
]
