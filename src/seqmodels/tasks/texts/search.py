"""How outputs are searched for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqmodels.decoding import Hypothesis, beam_search, greedy
from seqmodels.models import DecoderState, EncoderDecoder


@dataclass(frozen=True, kw_only=True)
class Search:
    """Options of the search for outputs; see :func:`~seqmodels.decoding.beam_search`.

    Args:
        beam: number of hypotheses that are followed; 1: the likeliest token each time.
        n_best: number of outputs for each source, at most ``beam``.
        length_penalty: exponent of the length that a score is divided by; 0 compares log-probabilities.
        coverage_penalty: weight of a penalty for source tokens that were not read, for networks with attention.
        max_length: most tokens of an output; by default, that of the longest target of the training data, and for a
            source longer than any of these in proportion to it.

    Raises:
        ValueError: an option is outside its range.

    Example:
        >>> Search(beam=5, n_best=2).limits(torch.tensor([3, 20]), longest=10, longest_target=12).tolist()
        [13, 25]
    """

    beam: int = 1
    n_best: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise ValueError(f"beam must be at least 1, got {self.beam}")
        if not 1 <= self.n_best <= self.beam:
            raise ValueError(f"n_best must be 1 to beam={self.beam}, got {self.n_best}")
        for name in ("length_penalty", "coverage_penalty"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must not be negative or infinite, got {getattr(self, name)}")
        if self.beam == 1 and self.coverage_penalty:
            raise ValueError(f"coverage_penalty={self.coverage_penalty} has no effect with beam=1")
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length must be at least 1 token, got {self.max_length}")

    @property
    def greedy(self) -> "Search":
        """The search that takes the likeliest token each time, with the same longest output."""
        return Search(max_length=self.max_length)

    def limits(self, lengths: Tensor, longest: int, longest_target: int) -> Tensor:
        """Return the most tokens of an output, with the end token, for sources of ``lengths (batch,)``.

        Args:
            lengths: number of tokens of each source.
            longest, longest_target: of the training data.
        """
        if self.max_length is not None:
            return torch.full_like(lengths, self.max_length + 1)
        share = (lengths / max(longest, 1)).clamp(min=1)
        return (share * longest_target).ceil().to(lengths.dtype) + 1

    def found(
        self, model: EncoderDecoder, state: DecoderState, start: Tensor, end: int, limits: Tensor
    ) -> list[list[Hypothesis]]:
        """Return the best hypotheses for each row of a state after encoding, best first."""
        if self.beam == 1:
            return greedy(model.step, state, start=start, end=end, max_length=limits)
        return beam_search(
            model.step,
            state,
            start=start,
            end=end,
            max_length=limits,
            beam=self.beam,
            n_best=self.n_best,
            length_penalty=self.length_penalty,
            coverage_penalty=self.coverage_penalty,
            coverage_of=model.coverage if self.coverage_penalty else None,
        )
