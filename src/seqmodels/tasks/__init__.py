"""Tasks: a network's loss, metrics and optimiser, as LightningModules."""

from seqmodels.tasks.classification import Classification
from seqmodels.tasks.regression import Regression
from seqmodels.tasks.task import Task

__all__ = ["Classification", "Regression", "Task"]
