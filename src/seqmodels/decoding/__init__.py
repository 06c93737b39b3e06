"""Text generation: sampling a token from logits, and the loop around it. Nothing here depends on a model."""

from seqmodels.decoding.generation import generate
from seqmodels.decoding.sampling import Sampling, filtered

__all__ = ["Sampling", "filtered", "generate"]
