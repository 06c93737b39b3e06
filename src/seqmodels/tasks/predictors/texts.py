"""Texts that are written: for a text that is read, or transcripts of recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

from torch import Tensor

from seqmodels.data import PairBatch, PairPreprocessing, SpeechPreprocessing
from seqmodels.decoding import NGram
from seqmodels.models import Copies, CTCNetwork, EncoderDecoder
from seqmodels.tasks.predictors.predictor import Predictor, Record
from seqmodels.tasks.texts.ctc_search import CTCSearch
from seqmodels.tasks.texts.search import Search, Writing


class TextPrediction(NamedTuple):
    """The best text for a source or recording."""

    text: str
    score: float
    """That of the search, of which texts with higher ones are better."""
    candidates: list[tuple[str, float]]
    """The best texts with their scores, best first; as many as ``n_best`` of the search asks for."""


class WritingPredictor(Predictor):
    """Base of what writes texts: its records have an ``output`` and a ``score``, best first."""

    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> TextPrediction:  # noqa: ARG002
        candidates = [(record["output"], record["score"]) for record in records]
        return TextPrediction(*candidates[0], candidates)


@dataclass
class TextPredictor(WritingPredictor):
    """The texts that an encoder and decoder writes.

    Args:
        model: an encoder and decoder.
        preprocessing: the tokenisation of the data.
        search: how outputs are searched for, or drawn; greedily by default.

    Raises:
        ValueError: the search has a coverage penalty, and the network no attention.
    """

    model: EncoderDecoder
    preprocessing: PairPreprocessing
    search: Writing | None = None

    def __post_init__(self) -> None:
        self.search = Search() if self.search is None else self.search
        if getattr(self.search, "coverage_penalty", 0) and self.model.decoder.attention is None:
            raise ValueError("coverage_penalty needs a network with attention, got attention=none")

    @property
    def copies(self) -> bool:
        """Whether the network copies tokens of the source."""
        return self.model.decoder.pointer is not None

    def found(self, batch: PairBatch, search: Writing | None = None) -> list[Any]:
        """Return the best hypotheses for each row, best first; by another search if one is given."""
        search = search or self.search
        assert search is not None
        state = self.model.encode(batch.inputs, batch.lengths, self.copies_of(batch))
        limits = search.limits(batch.lengths, self.preprocessing.longest, self.preprocessing.longest_target)
        return search.found(self.model, state, self.start(batch), self.preprocessing.end, limits)

    def start(self, batch: PairBatch) -> Tensor:
        """Return the token before each output, ``(batch,)``."""
        return batch.inputs.new_full((len(batch.inputs),), self.preprocessing.end)

    def copies_of(self, batch: PairBatch) -> Copies | None:
        """Return what each source token is as a target token, if the network copies."""
        if not self.copies:
            return None
        size = len(self.preprocessing.target_vocabulary)
        return Copies(batch.copies, max(batch.copy_size - size, 0))

    def records(self, batch: PairBatch, class_names: Sequence[str]) -> list[list[Record]]:  # noqa: ARG002
        """Return for each row its best outputs, best first, with their scores and log-probabilities."""
        return [
            [
                {
                    "rank": rank,
                    "output": self.preprocessing.written(hypothesis.tokens, row.source),
                    "score": hypothesis.score,
                    "log_prob": hypothesis.log_prob,
                    "complete": hypothesis.complete,
                }
                for rank, hypothesis in enumerate(best, start=1)
            ]
            for row, best in zip(batch.texts, self.found(batch), strict=True)
        ]


@dataclass
class TranscriptPredictor(WritingPredictor):
    """The transcripts that are read from the outputs of a network trained with CTC.

    Args:
        model: a network for CTC.
        preprocessing: the units of the transcripts, and their language model.
        search: how transcripts are read; the best path by default.
    """

    model: CTCNetwork
    preprocessing: SpeechPreprocessing
    search: CTCSearch | None = None

    def __post_init__(self) -> None:
        self.search = CTCSearch() if self.search is None else self.search
        order, units = self.preprocessing.ngram_order, len(self.preprocessing.vocabulary) - 1
        self.ngram = NGram(self.preprocessing.ngram_counts, order=order, vocab_size=units) if order else None

    def log_probs(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return log-probabilities ``(batch, steps, units)``, and how many steps each row has."""
        logits, steps = self.model(batch.inputs, batch.lengths)
        return logits.float().log_softmax(-1), steps

    def of_step(self, output: Tensor) -> Tensor:
        return output.float().log_softmax(-1)

    def records(self, batch: Any, class_names: Sequence[str]) -> list[list[Record]]:  # noqa: ARG002
        """Return for each row its best transcripts, best first, with their scores.

        Of those that differ in unknown units alone, which are not written, only the best is returned.
        """
        assert self.search is not None
        records, every = [], replace(self.search, n_best=self.search.beam)
        for best in every.found(*self.log_probs(batch), self.ngram):
            scores: dict[str, float] = {}
            for each in best:
                scores.setdefault(self.preprocessing.written(each.tokens), each.score)
            ranked = enumerate(islice(scores.items(), self.search.n_best), start=1)
            records.append([{"rank": rank, "output": text, "score": score} for rank, (text, score) in ranked])
        return records
