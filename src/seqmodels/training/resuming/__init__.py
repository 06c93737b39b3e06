"""Resume an interrupted run exactly, with the same numbers as without the interruption."""

from seqmodels.training.resuming.points import ResumePoints
from seqmodels.training.resuming.seeds import StepSeeds
from seqmodels.training.resuming.signals import Interrupted

__all__ = ["Interrupted", "ResumePoints", "StepSeeds"]
