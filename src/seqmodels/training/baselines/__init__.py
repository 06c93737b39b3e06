"""Baselines beside a classification: the majority class, nearest neighbours and linear models."""

from seqmodels.training.baselines.scores import baseline_metrics

__all__ = ["baseline_metrics"]
