"""Writing sequences: greedy and beam search, sampling, and the loop that streams a text. They know no model."""

from seqmodels.decoding.beam import beam_search
from seqmodels.decoding.choosing import greedy, sample
from seqmodels.decoding.generation import generate
from seqmodels.decoding.hypotheses import Hypothesis, Step
from seqmodels.decoding.sampling import Sampling, filtered

__all__ = ["Hypothesis", "Sampling", "Step", "beam_search", "filtered", "generate", "greedy", "sample"]
