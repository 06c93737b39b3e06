"""How a text is written: the choice of a token from scores, and the loop around it. Nothing here knows a model."""

from seqmodels.decoding.generation import generate
from seqmodels.decoding.sampling import Sampling, filtered

__all__ = ["Sampling", "filtered", "generate"]
