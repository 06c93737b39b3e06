"""How a network goes from a layer's outputs over time to one vector; each is called with the layer.

A pooling of one's own is any callable ``(layer) -> module``, the module mapping ``(y (batch, time, size), lengths)`` to
``(batch, size)``. :func:`every_step` alone keeps the time: the network then answers at every step.
"""

from collections.abc import Callable

from torch import nn

from seqmodels.layers import AttentionPool, EveryStep, LastStep, MaxPool, MeanPool, SequenceLayer

__all__ = ["attention", "every_step", "last", "maximum", "mean"]

Pooling = Callable[[SequenceLayer], nn.Module]


def last(layer: SequenceLayer) -> LastStep:
    """Take the step where the layer has seen the whole sequence: the last real one, step 0 of a backward reader."""
    return LastStep(backward_size=layer.backward_size)


def mean(layer: SequenceLayer) -> MeanPool:  # noqa: ARG001  (one signature for all)
    """Take the mean over the real steps."""
    return MeanPool()


def maximum(layer: SequenceLayer) -> MaxPool:  # noqa: ARG001
    """Take the greatest value of each feature over the real steps."""
    return MaxPool()


def attention(layer: SequenceLayer, *, attention_size: int | None = None) -> AttentionPool:
    """Take a learnt weighted mean over the real steps."""
    return AttentionPool(layer.output_size, attention_size=attention_size)


def every_step(layer: SequenceLayer) -> EveryStep:  # noqa: ARG001
    """Take every step as it is: an answer for each of them, as tagging and next-frame prediction need."""
    return EveryStep()
