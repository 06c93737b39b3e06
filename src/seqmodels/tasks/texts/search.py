"""How outputs are searched for, or drawn."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqmodels.decoding import Hypothesis, Sampling, Step, beam_search, greedy, sample
from seqmodels.models import DecoderState, EncoderDecoder


@dataclass(frozen=True, kw_only=True)
class Writing(ABC):
    """Base of the ways to write outputs.

    Args:
        max_length: most tokens of an output; by default, that of the longest target of the training data, and for a
            source longer than any of these in proportion to it.
    """

    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length must be at least 1 token, got {self.max_length}")

    def limits(self, lengths: Tensor, longest: int, longest_target: int) -> Tensor:
        """Return the most tokens of an output, without the end token, for sources of ``lengths (batch,)``.

        Args:
            lengths: number of tokens of each source.
            longest, longest_target: of the training data.
        """
        if self.max_length is not None:
            return torch.full_like(lengths, self.max_length)
        share = (lengths / max(longest, 1)).clamp(min=1)
        return (share * longest_target).ceil().to(lengths.dtype)

    @property
    def greedy(self) -> "Search":
        """The search that takes the likeliest token each time, with the same longest output."""
        return Search(max_length=self.max_length)

    @abstractmethod
    def found(
        self, model: EncoderDecoder, state: DecoderState, start: Tensor, end: int, limits: Tensor
    ) -> list[list[Hypothesis]]:
        """Return outputs for each row of a state after encoding, of at most ``limits (batch,)`` tokens, best first.

        Only the token after the last one tells whether an output of the largest length is complete. Where it is not,
        that token is left out, but its log-probability counts.
        """


@dataclass(frozen=True, kw_only=True)
class Drawing(Writing):
    """Outputs that are drawn at random, token by token; see :func:`~seqmodels.decoding.sample`.

    Args:
        sampling: how a token is drawn.
        samples: number of outputs for each source.
        seed: of the random numbers of each batch.
        max_length: as in :class:`Writing`.

    Raises:
        ValueError: an option is outside its range.

    Example:
        >>> Drawing(sampling=Sampling(temperature=0.7), samples=3).samples
        3
    """

    sampling: Sampling = Sampling()  # noqa: RUF009  (immutable)
    samples: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}")

    def found(
        self, model: EncoderDecoder, state: DecoderState, start: Tensor, end: int, limits: Tensor
    ) -> list[list[Hypothesis]]:
        generator = torch.Generator(start.device).manual_seed(self.seed)

        def choose(log_probs: Tensor) -> Tensor:
            return self.sampling.choose(log_probs, generator)

        drawn = sample(
            model.step, state, start=start, end=end, max_length=limits + 1, choose=choose, samples=self.samples
        )
        return _cut(drawn, limits)


@dataclass(frozen=True, kw_only=True)
class Search(Writing):
    """Options of the search for outputs; see :func:`~seqmodels.decoding.beam_search`.

    Args:
        beam: number of hypotheses that are followed; 1: the likeliest token each time.
        n_best: number of outputs for each source, at most ``beam``.
        length_penalty: exponent of the length that a score is divided by; 0 compares log-probabilities.
        coverage_penalty: weight of a penalty for source tokens that were not read, for networks with attention.
        max_length: as in :class:`Writing`.

    Raises:
        ValueError: an option is outside its range.

    Example:
        >>> Search(beam=5, n_best=2).limits(torch.tensor([3, 20]), longest=10, longest_target=12).tolist()
        [12, 24]
    """

    beam: int = 1
    n_best: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beam < 1:
            raise ValueError(f"beam must be at least 1, got {self.beam}")
        if not 1 <= self.n_best <= self.beam:
            raise ValueError(f"n_best must be 1 to beam={self.beam}, got {self.n_best}")
        for name in ("length_penalty", "coverage_penalty"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must not be negative or infinite, got {getattr(self, name)}")
        if self.beam == 1 and self.coverage_penalty:
            raise ValueError(f"coverage_penalty={self.coverage_penalty} has no effect with beam=1")

    def found(
        self, model: EncoderDecoder, state: DecoderState, start: Tensor, end: int, limits: Tensor
    ) -> list[list[Hypothesis]]:
        if self.beam == 1:
            return _cut(greedy(model.step, state, start=start, end=end, max_length=limits + 1), limits)
        found = beam_search(
            _deciding_at_last(model.step),
            (state, limits),
            start=start,
            end=end,
            max_length=limits + 1,
            beam=self.beam,
            n_best=self.n_best,
            length_penalty=self.length_penalty,
            coverage_penalty=self.coverage_penalty,
            coverage_of=(lambda state: model.coverage(state[0])) if self.coverage_penalty else None,
        )
        return _cut(found, limits)


def _deciding_at_last(step: Step) -> Step:
    """Return a step with the number of tokens that are left in its state, after which only the likeliest may follow.

    Outputs that are cut would otherwise be found several times, with different tokens to leave out.
    """

    def decide(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        log_probs, inner = step(tokens, state[0])
        last = state[1] == 0
        if bool(last.any()):
            likeliest = torch.full_like(log_probs, -torch.inf).scatter(-1, *log_probs.max(-1, keepdim=True)[::-1])
            log_probs = torch.where(last[:, None], likeliest, log_probs)
        return log_probs, (inner, state[1] - 1)

    return decide


def _cut(found: list[list[Hypothesis]], limits: Tensor) -> list[list[Hypothesis]]:
    """Leave out the tokens of hypotheses past ``limits (batch,)``."""
    rows = zip(found, limits.tolist(), strict=True)
    return [[each._replace(tokens=each.tokens[:limit]) for each in best] for best, limit in rows]
