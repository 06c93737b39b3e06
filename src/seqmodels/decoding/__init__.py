"""Writing sequences: greedy and beam search, sampling, and the loop that streams a text. They know no model."""

from seqmodels.decoding.beam import beam_search
from seqmodels.decoding.choosing import greedy, sample
from seqmodels.decoding.ctc import Transcription, ctc_beam_search, ctc_best_path
from seqmodels.decoding.generation import generate
from seqmodels.decoding.hypotheses import Hypothesis, Step
from seqmodels.decoding.ngram import NGram
from seqmodels.decoding.sampling import Sampling, filtered

__all__ = [
    "Hypothesis",
    "NGram",
    "Sampling",
    "Step",
    "Transcription",
    "beam_search",
    "ctc_beam_search",
    "ctc_best_path",
    "filtered",
    "generate",
    "greedy",
    "sample",
]
