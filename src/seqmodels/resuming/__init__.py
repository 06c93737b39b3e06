"""Going on exactly where a run was interrupted."""

from seqmodels.resuming.points import ResumePoints
from seqmodels.resuming.seeds import StepSeeds
from seqmodels.resuming.signals import Interrupted

__all__ = ["Interrupted", "ResumePoints", "StepSeeds"]
