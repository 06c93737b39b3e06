"""Poolings of a network: functions from the top layer to a module that reduces its outputs over time to one vector.

Any callable ``(layer) -> module`` will do whose module maps ``(y (batch, time, size), lengths)`` to ``(batch, size)``,
or to another size if the module says it as ``output_size``.
Only :func:`every_step` keeps the time, for networks with an output at every step.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from seqmodels.layers import AttentionPool, ConcatPool, EveryStep, LastStep, MaxPool, MeanPool, SequenceLayer

__all__ = ["attention", "concat", "every_step", "last", "maximum", "mean"]

Pooling = Callable[[SequenceLayer[Any]], nn.Module]


def last(layer: SequenceLayer[Any]) -> LastStep:
    """Take the step where the layer has seen the whole sequence: the last real one, step 0 where it reads backwards.

    Args:
        layer: the layer to pool.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> from seqmodels.layers import recurrent_stack
        >>> last(recurrent_stack(GRUCell, 4, hidden_sizes=[5], bidirectional=True))
        LastStep(backward_size=5)
    """
    return LastStep(backward_size=layer.backward_size)


def mean(layer: SequenceLayer[Any]) -> MeanPool:  # noqa: ARG001  (one signature for all)
    """Take the mean over the real steps.

    Args:
        layer: the layer to pool.

    Example:
        >>> from seqmodels.layers import SelfAttention
        >>> mean(SelfAttention(8))
        MeanPool()
    """
    return MeanPool()


def maximum(layer: SequenceLayer[Any]) -> MaxPool:  # noqa: ARG001
    """Take the maximum of each feature over the real steps.

    Args:
        layer: the layer to pool.

    Example:
        >>> from seqmodels.layers import SelfAttention
        >>> maximum(SelfAttention(8))
        MaxPool()
    """
    return MaxPool()


def concat(layer: SequenceLayer[Any]) -> ConcatPool:
    """Take the last output, the maximum and the mean together.

    Args:
        layer: the layer to pool.

    Example:
        >>> from seqmodels.layers import SelfAttention
        >>> concat(SelfAttention(8))(torch.zeros(3, 7, 8)).shape
        torch.Size([3, 24])
    """
    return ConcatPool(layer.output_size, backward_size=layer.backward_size)


def attention(layer: SequenceLayer[Any], *, attention_size: int | None = None) -> AttentionPool:
    """Take a learnt weighted mean over the real steps.

    Args:
        layer: the layer to pool.
        attention_size: as in :class:`~seqmodels.layers.AttentionPool`.

    Example:
        >>> from seqmodels.layers import SelfAttention
        >>> attention(SelfAttention(8))(torch.zeros(3, 7, 8)).shape
        torch.Size([3, 8])
    """
    return AttentionPool(layer.output_size, attention_size=attention_size)


def every_step(layer: SequenceLayer[Any]) -> EveryStep:  # noqa: ARG001
    """Take every step as it is: one output for each of them, as tagging and next-frame prediction need.

    Args:
        layer: the layer to pool.

    Example:
        >>> from seqmodels.layers import SelfAttention
        >>> every_step(SelfAttention(8))
        EveryStep()
    """
    return EveryStep()
