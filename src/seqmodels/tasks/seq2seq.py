"""Sequence to sequence: write a text for each text that is read."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqmodels.data import PairBatch, PairPreprocessing
from seqmodels.data.batch import TargetKind
from seqmodels.models import EncoderDecoder
from seqmodels.sequence import length_mask
from seqmodels.tasks.predictors.texts import TextPredictor
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage
from seqmodels.tasks.texts.alignment import Alignment, alignment_svg
from seqmodels.tasks.texts.examples import chosen_examples
from seqmodels.tasks.texts.metrics import Output, metrics_of
from seqmodels.tasks.texts.search import Search, Writing
from seqmodels.tasks.texts.text_task import TextTask

log = logging.getLogger("seqmodels")


class Seq2Seq(TextTask[PairBatch]):
    """Train an encoder and decoder on pairs of texts, and measure the texts that it writes.

    The loss is the cross-entropy in nats per target token, its end token included, where the decoder reads the true
    tokens before it. In validation and test, outputs are searched for and compared with the references: see
    :func:`~seqmodels.tasks.texts.metrics.metrics_of`. At each validation, three examples are logged.

    Args:
        model, optimizer, scheduler: as in :class:`~seqmodels.tasks.Task`.
        preprocessing: the tokenisation of the data.
        label_smoothing: fraction of the target spread over all tokens in training (Szegedy et al., 2016, 1512.00567).
            ``train/loss`` remains the loss without it; the other one is ``train/smoothed_loss``.
        own_tokens: scheduled sampling: from the number of training steps to the probability that the decoder reads a
            token that it chose itself, as in :mod:`seqmodels.models.scheduled_sampling`; always the true ones if None.
        search: how the outputs of tests and predictions are searched for, greedily by default; validations are greedy.
        metrics: names of metrics; those usual for the data if None.

    Raises:
        TypeError: ``model`` is not an encoder and decoder.
        ValueError: ``label_smoothing`` is outside [0, 1), a metric is unknown, one embedding would serve two
            vocabularies, or a coverage penalty a network without attention.
        ImportError: a metric needs a package that is not installed.

    Example:
        >>> from functools import partial
        >>> from torch import optim
        >>> from seqmodels.cells import GRUCell
        >>> from seqmodels.data import CharacterVocabulary
        >>> from seqmodels.layers import recurrent_stack
        >>> letters = CharacterVocabulary(["<pad>", "<unk>", "<eos>", "a", "b"])
        >>> text = PairPreprocessing(source_vocabulary=letters, target_vocabulary=letters, unit="characters")
        >>> layers = partial(recurrent_stack, partial(GRUCell, hidden_size=4))
        >>> model = EncoderDecoder(layers, layers, source_vocab_size=5, target_vocab_size=5)
        >>> list(Seq2Seq(model, optim.Adam, preprocessing=text).text_metrics)
        ['cer', 'exact_match']
    """

    needs: ClassVar[TargetKind] = "seq2seq"
    model: EncoderDecoder

    def __init__(
        self,
        model: EncoderDecoder,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        preprocessing: PairPreprocessing,
        label_smoothing: float = 0.0,
        own_tokens: Callable[[int], float] | None = None,
        search: Search | None = None,
        metrics: Sequence[str] | None = None,
    ) -> None:
        lowercase = preprocessing.target_vocabulary.lowercase
        text_metrics = metrics_of(metrics, preprocessing.unit, lowercase=lowercase)
        super().__init__(model, optimizer, scheduler, text_metrics)
        if not isinstance(model, EncoderDecoder):
            raise TypeError(f"task=seq2seq needs model=encoder_decoder, got {type(model).__name__}")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing}")
        tokens = (preprocessing.source_vocabulary.tokens, preprocessing.target_vocabulary.tokens)
        if model.source_embedding is None and tokens[0] != tokens[1]:
            raise ValueError("model.share_embeddings=true needs one vocabulary for both: data.shared_vocabulary=true")
        self.preprocessing = preprocessing
        self.label_smoothing = label_smoothing
        self.own_tokens = own_tokens
        self.predictor = TextPredictor(model, preprocessing, search)
        self._alignments: list[Alignment] | None = None  # of the last test, once they are asked for

    def measure(self, batch: PairBatch, stage: Stage) -> Tensor:
        rate = self.own_tokens(self.global_step) if stage == "train" and self.own_tokens is not None else 0.0
        log_probs, targets = self.log_probs(batch, rate)
        real, number = length_mask(batch.target_lengths, targets.shape[1]), batch.target_lengths.sum()
        losses = -log_probs.gather(-1, targets[..., None])[..., 0]
        loss = losses.masked_fill(~real, 0).sum() / number
        if stage != "train":
            self._means[stage].add({"loss": loss}, number)
            self._outputs[stage] += self.outputs(batch, self.search if stage == "test" else self.search.greedy)
            return loss
        if not self.label_smoothing:
            self._means[stage].add({"loss": loss}, number)
            return loss
        vocabulary = log_probs[..., : len(self.preprocessing.target_vocabulary)]  # copied tokens beyond it have none
        spread = -vocabulary.mean(-1).masked_fill(~real, 0).sum() / number
        smoothed = (1 - self.label_smoothing) * loss + self.label_smoothing * spread
        self._means[stage].add({"loss": loss, "smoothed_loss": smoothed}, number)
        return smoothed

    def log_probs(self, batch: PairBatch, own_tokens: float = 0.0) -> tuple[Tensor, Tensor]:
        """Return log-probabilities ``(batch, steps, tokens)`` after the true tokens, and the targets they refer to."""
        targets = batch.targets
        if not self.predictor.copies:
            unknown = self.preprocessing.target_vocabulary.unknown or 0
            targets = targets.masked_fill(targets >= len(self.preprocessing.target_vocabulary), unknown)
        read = torch.cat([self.predictor.start(batch)[:, None], targets[:, :-1]], dim=1)
        prediction = self.model(
            batch.inputs, read, batch.lengths, copies=self.predictor.copies_of(batch), own_tokens=own_tokens
        )
        return prediction.log_probs, targets

    @property
    def search(self) -> Writing:
        """How the outputs of tests and predictions are written."""
        assert self.predictor.search is not None
        return self.predictor.search

    @search.setter
    def search(self, search: Writing) -> None:
        self.predictor.search = search

    @torch.inference_mode()
    def outputs(self, batch: PairBatch, search: Writing) -> list[Output]:
        """Return the best output for each row of a batch with texts."""
        text = self.preprocessing
        found = self.predictor.found(batch, search)
        return [
            Output(
                row.source,
                tuple(map(text.reference, row.references)),
                text.written(best[0].tokens, row.source),
                row.row,
            )
            for row, best in zip(batch.texts, found, strict=True)
        ]

    def records(self, batch: PairBatch, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return for each row its best outputs, best first, with their scores and log-probabilities."""
        return self.predictor.records(batch, class_names)

    def pictures(self) -> dict[str, str]:
        """Return pictures of the attention of examples of the last test, if the network has attention."""
        if self.model.decoder.attention is None:
            return {}
        drawn = (alignment_svg(*found) for found in self.alignments())
        return {f"alignment_{number}.svg": picture for number, picture in enumerate(drawn, start=1)}

    def alignments(self) -> list[Alignment]:
        """Return the attention of examples of the last test; none if the network has no attention."""
        if self._alignments is None:
            shown = chosen_examples(self.test_outputs) if self.model.decoder.attention is not None else []
            self._alignments = [self.attention(output.source) for output in shown]
        return self._alignments

    def _begin(self, stage: Stage) -> None:
        super()._begin(stage)
        if stage == "test":
            self._alignments = None

    def alignment(self, source: str) -> str:
        """Return an SVG picture of :meth:`attention`."""
        return alignment_svg(*self.attention(source))

    @torch.inference_mode()
    def attention(self, source: str) -> Alignment:
        """Return which tokens of a source are read for each token of the output.

        Raises:
            ValueError: the source has no tokens, or the network no attention.
        """
        if self.model.decoder.attention is None:
            raise ValueError("a picture of attention needs a network with attention, got one without")
        was_training = self.training
        self.eval()
        batch, read, tokens = self.written(source)
        weights = self.model(batch.inputs, read, batch.lengths, copies=self.predictor.copies_of(batch)).weights[0]
        self.train(was_training)
        return Alignment(self.preprocessing.source_pieces(source), self.pieces(tokens, source), weights.tolist())

    @torch.no_grad()
    def written(self, source: str) -> tuple[PairBatch, Tensor, list[int]]:
        """Return a source as a batch of one row, what the decoder reads ``(1, steps)``, and the best output.

        The tokens of the output end with the end token, whether the search found one or not.
        """
        text = self.preprocessing
        batch = self.transfer_batch_to_device(text.collate([text.encode({"text": source})]), self.device, 0)
        tokens = [*self.predictor.found(batch)[0][0].tokens, text.end]
        return batch, torch.tensor([[text.end, *tokens[:-1]]], device=batch.inputs.device), tokens

    def pieces(self, tokens: Sequence[int], source: str) -> list[str]:
        """Return the tokens of an output one by one as texts."""
        return [self.preprocessing.written([token], source) or "<eos>" for token in tokens]

    def _report(self, stage: Stage) -> None:
        super()._report(stage)
        loss = self.trainer.callback_metrics.get(f"{stage}/loss")
        if stage != "train" and loss is not None:
            self.log(f"{stage}/perplexity", math.exp(min(float(loss), 700.0)), prog_bar=True)
