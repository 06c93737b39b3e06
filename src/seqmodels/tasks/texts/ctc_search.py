"""How transcripts are read from the outputs of a network trained with CTC."""

from dataclasses import dataclass

from torch import Tensor

from seqmodels.decoding import NGram, Transcription, ctc_beam_search, ctc_best_path


@dataclass(frozen=True, kw_only=True)
class CTCSearch:
    """Options of the search for transcripts; see :func:`~seqmodels.decoding.ctc_beam_search`.

    Args:
        beam: number of prefixes that are followed; 1: the best path (:func:`~seqmodels.decoding.ctc_best_path`).
        n_best: number of transcripts for each row, at most ``beam``.
        ngram_weight: weight of the language model of the data, with a beam.
        token_bonus: added to the score of a transcript for each unit, with a beam.

    Raises:
        ValueError: an option is outside its range.

    Example:
        >>> CTCSearch(beam=8, n_best=3).n_best
        3
    """

    beam: int = 1
    n_best: int = 1
    ngram_weight: float = 0.3
    token_bonus: float = 0.0

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise ValueError(f"beam must be at least 1, got {self.beam}")
        if not 1 <= self.n_best <= self.beam:
            raise ValueError(f"n_best must be 1 to beam={self.beam}, got {self.n_best}")

    def found(self, log_probs: Tensor, lengths: Tensor, ngram: NGram | None) -> list[list[Transcription]]:
        """Return the best transcripts for each row of ``log_probs (batch, time, classes)``, best first."""
        if self.beam == 1:
            return [[found] for found in ctc_best_path(log_probs, lengths)]
        return ctc_beam_search(
            log_probs,
            lengths,
            beam_size=self.beam,
            n_best=self.n_best,
            ngram=ngram,
            ngram_weight=self.ngram_weight,
            token_bonus=self.token_bonus,
        )
