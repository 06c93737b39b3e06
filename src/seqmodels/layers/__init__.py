"""Sequence layers, all with the signature ``(x, state=None, lengths=None, *, resets=None) -> (y, state)``; pooling,
attention."""

from seqmodels.layers.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    Memory,
    coverage_losses,
)
from seqmodels.layers.base import SequenceLayer
from seqmodels.layers.convolution import Convolution, ConvolutionStack, InstanceNorm
from seqmodels.layers.crf import IndependentTags, LinearChainCRF, TagDistribution
from seqmodels.layers.dropout import LockedDropout
from seqmodels.layers.pooling import AttentionPool, ConcatPool, EveryStep, LastStep, MaxPool, MeanPool
from seqmodels.layers.read_out import ReadOut
from seqmodels.layers.recurrent import Bidirectional, Recurrent
from seqmodels.layers.self_attention import SelfAttention
from seqmodels.layers.stack import ConcatInput, Stack, recurrent_stack

__all__ = [
    "AdditiveAttention",
    "Attention",
    "AttentionPool",
    "Bidirectional",
    "ConcatInput",
    "ConcatPool",
    "Convolution",
    "ConvolutionStack",
    "DotAttention",
    "EveryStep",
    "GeneralAttention",
    "IndependentTags",
    "InstanceNorm",
    "LastStep",
    "LinearChainCRF",
    "LockedDropout",
    "MaxPool",
    "MeanPool",
    "Memory",
    "ReadOut",
    "Recurrent",
    "SelfAttention",
    "SequenceLayer",
    "Stack",
    "TagDistribution",
    "coverage_losses",
    "recurrent_stack",
]
