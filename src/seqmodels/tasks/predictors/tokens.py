"""Predictions about the tokens of a text: a tag for each, or how well a language model predicts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.tagging.batch import TagBatch
from seqmodels.data.text.windows import IGNORE, READ, TextWindow
from seqmodels.models import LanguageModel, Tagger
from seqmodels.tasks.predictors.predictor import Predictor, Record


class TagPrediction(NamedTuple):
    """The tags of a sentence."""

    tags: list[str]
    """The most probable tag of each token."""
    tokens: list[str]
    """The tokens that they belong to."""
    probabilities: dict[str, list[float]] | None
    """By tag, its probability at each token; None unless they are asked for."""


class TextScore(NamedTuple):
    """How well a language model predicts a text."""

    tokens: int
    """Number of its tokens."""
    loss: float
    """Mean negative log-probability of a token, in nats."""
    perplexity: float
    """The exponential of ``loss``."""


@dataclass
class TagPredictor(Predictor):
    """The most probable tags of sentences.

    Args:
        model: a tagger.
        tag_names: the tags by index.
        probabilities: whether records have the probability of every tag.
    """

    model: Tagger
    tag_names: Sequence[str]
    probabilities: bool = False

    def records(self, batch: TagBatch, class_names: Sequence[str]) -> list[list[Record]]:  # noqa: ARG002
        """Return the most probable tags of each sentence; with ``probabilities``, also that of every tag."""
        scores, lengths = self.model(batch.inputs, batch.lengths), batch.lengths.tolist()
        rows = self.model.tags.best(scores, batch.lengths).tolist()
        found = [{"tags": [self.tag_names[tag] for tag in row[:n]]} for row, n in zip(rows, lengths, strict=True)]
        if not self.probabilities:
            return [[record] for record in found]
        marginals = self.model.tags.marginals(scores, batch.lengths).transpose(1, 2).tolist()
        return [
            [{**record, "probabilities": {name: at[:n] for name, at in zip(self.tag_names, row, strict=True)}}]
            for record, row, n in zip(found, marginals, lengths, strict=True)
        ]

    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> TagPrediction:
        return TagPrediction(records[0]["tags"], list(fields["tokens"]), records[0].get("probabilities"))


@dataclass
class ScorePredictor(Predictor):
    """How well a language model predicts texts.

    Args:
        model: a language model.
    """

    model: LanguageModel

    def records(self, batch: TextWindow, class_names: Sequence[str]) -> list[list[Record]]:  # noqa: ARG002
        """Return for each row its number of tokens, their mean loss in nats, and the perplexity."""
        state, real = self.model.renew(None, batch.fresh), batch.targets != IGNORE
        tokens, totals = real.sum(1).cpu(), torch.zeros(len(real), dtype=torch.float64)
        steps = max(READ // len(real), 1)  # texts may be long, and each token has a logit for every other
        for first in range(0, real.shape[1], steps):
            window = slice(first, first + steps)
            here = real[:, window]
            read = self.model.read(batch.inputs[:, window], state, None if here.all() else here.sum(1).clamp(min=1))
            losses = self.model.losses(read.features[here], batch.targets[:, window][here])
            totals.index_add_(0, here.nonzero()[:, 0].cpu(), losses.cpu().double())
            state = read.state
        means = totals / tokens
        rows = zip(tokens.tolist(), means.tolist(), means.exp().tolist(), strict=True)
        return [[{"tokens": number, "loss": loss, "perplexity": perplexity}] for number, loss, perplexity in rows]

    def of_step(self, output: Tensor) -> Tensor:
        return output.log_softmax(-1)

    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> TextScore:  # noqa: ARG002
        return TextScore(**records[0])
