"""Sequence layers, all with the signature ``(x, state=None, lengths=None) -> (y, state)``, and pooling over time."""

from seqmodels.layers.base import SequenceLayer
from seqmodels.layers.convolution import Convolution
from seqmodels.layers.dropout import LockedDropout
from seqmodels.layers.pooling import AttentionPool, EveryStep, LastStep, MaxPool, MeanPool
from seqmodels.layers.read_out import ReadOut
from seqmodels.layers.recurrent import Bidirectional, Recurrent
from seqmodels.layers.self_attention import SelfAttention
from seqmodels.layers.stack import Stack, recurrent_stack

__all__ = [
    "AttentionPool",
    "Bidirectional",
    "Convolution",
    "EveryStep",
    "LastStep",
    "LockedDropout",
    "MaxPool",
    "MeanPool",
    "ReadOut",
    "Recurrent",
    "SelfAttention",
    "SequenceLayer",
    "Stack",
    "recurrent_stack",
]
