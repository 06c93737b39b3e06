"""Transcription of sequences with connectionist temporal classification (CTC)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection

from seqmodels.data.audio.datasets import TranscribedSounds
from seqmodels.data.batch import TargetKind, TranscriptBatch
from seqmodels.decoding import NGram, Transcription, ctc_beam_search, ctc_best_path
from seqmodels.errors import shortened
from seqmodels.tasks.error_rates import ErrorRate
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task

BLANK, UNKNOWN = 0, "<unk>"
EXAMPLES = 3  # shown after each validation
SHOWN = 3  # files that a message names
Rate = Literal["wer", "cer", "per"]

log = logging.getLogger("seqmodels")


class CTC(Task[TranscriptBatch]):
    r"""Train and evaluate a network that transcribes sequences, with the CTC loss (Graves et al., 2006).

    .. math::

        \ell = - \frac{1}{|y|} \log \sum_{a \in A(y)} \prod_t p_t(a_t \mid x)

    over all alignments :math:`a` of the transcript :math:`y`: tokens that may last several steps, with blanks, class 0,
    between them. Losses are means over recordings. A transcript with more tokens, and blanks between equal ones, than the
    network has steps cannot be aligned: its recording is left out of the loss, and is named and counted in the log.

    Validation reads the best path, tests and predictions do so with ``beam_size=1``, and search otherwise. ``wer`` and
    ``cer`` are the edits from outputs to references, divided by the words or characters of all references. An unknown
    unit in a reference is always an error.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model returns logits ``(batch, steps, tokens)`` and their
            lengths, and has a method ``output_lengths``.
        tokens: the text of each token; that of 0, the blank, is not used.
        separator: what stands between tokens in a text: nothing for characters, a space for words.
        rates: the error rates to measure; ``per`` for phonemes separated by spaces.
        beam_size: prefixes of the search.
        ngram: ``order`` and ``counts`` of a language model over tokens, as in :class:`~seqmodels.decoding.NGram`.
        ngram_weight, token_bonus: as in :func:`~seqmodels.decoding.ctc_beam_search`.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> from torch import optim
        >>> task = CTC(nn.Identity(), optim.Adam, tokens=["<pad>", "<unk>", "no", "yes"], separator=" ")
        >>> task.text([3, 1, 2])
        'yes no'
    """

    needs: ClassVar[TargetKind] = "ctc"

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        tokens: Sequence[str],
        separator: str = "",
        rates: Sequence[Rate] = ("wer", "cer"),
        beam_size: int = 1,
        ngram: Mapping[str, Any] | None = None,
        ngram_weight: float = 0.3,
        token_bonus: float = 0.0,
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if beam_size < 1:
            raise ValueError(f"beam_size must be at least 1, got {beam_size}")
        if strange := [rate for rate in rates if rate not in get_args(Rate)]:
            raise ValueError(f"rates must be of {', '.join(get_args(Rate))}, got {strange[0]!r}")
        self.tokens = list(tokens)
        self.separator = separator
        self.beam_size = beam_size
        self.n_best: int | None = None
        """Number of transcripts that :meth:`records` returns, with their scores; the best one alone if None."""
        size = len(self.tokens) - 1
        self.ngram = None if ngram is None else NGram(ngram["counts"], order=ngram["order"], vocab_size=size)
        self.ngram_weight = ngram_weight
        self.token_bonus = token_bonus
        for stage in ("val", "test"):
            measured = {rate: ErrorRate("character" if rate == "cer" else "word") for rate in rates}
            self.metrics[stage] = MetricCollection(dict(measured), prefix=f"{stage}/", compute_groups=False)
        self._examples: list[tuple[str, str]] = []

    def text(self, tokens: Sequence[int], unknown: str = "") -> str:
        """Return the text of tokens; unknown ones are left out by default."""
        shown = [self.tokens[token] if self.tokens[token] != UNKNOWN else unknown for token in tokens]
        return self.separator.join(part for part in shown if part)

    def measure(self, batch: TranscriptBatch, stage: Stage) -> Tensor:
        _check_targets(batch, len(self.tokens))
        logits, steps = self.model(batch.inputs, batch.lengths)
        log_probs = logits.float().log_softmax(-1)
        losses = F.ctc_loss(
            log_probs.transpose(0, 1), batch.targets, steps, batch.target_lengths, BLANK, "none", zero_infinity=True
        )
        aligned = batch.steps_needed <= steps.to(batch.targets.device)
        rows = aligned.sum()
        loss = (losses / batch.target_lengths * aligned.to(losses)).sum() / rows.clamp(min=1)
        self._means[stage].add({"loss": loss}, rows)
        if stage != "train":
            self._score(log_probs, steps, batch, stage)
        return loss

    def transcribe(self, log_probs: Tensor, steps: Tensor, n_best: int = 1) -> list[list[Transcription]]:
        """Return the best transcripts of each row, by the best path or by a search."""
        if self.beam_size == n_best == 1:
            return [[found] for found in ctc_best_path(log_probs, steps, blank=BLANK)]
        return ctc_beam_search(
            log_probs,
            steps,
            beam_size=max(self.beam_size, n_best),
            n_best=n_best,
            blank=BLANK,
            ngram=self.ngram,
            ngram_weight=self.ngram_weight,
            token_bonus=self.token_bonus,
        )

    def records(self, batch: Any, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:  # noqa: ARG002
        """Return the transcript of each row; with :attr:`n_best`, that many with their scores."""
        logits, steps = self.model(batch.inputs, batch.lengths)
        found = self.transcribe(logits.float().log_softmax(-1), steps, self.n_best or 1)
        return [[self._record(row)] for row in found]

    def on_fit_start(self) -> None:
        """Count the transcripts that cannot be aligned.

        Raises:
            ValueError: no transcript of a split can be aligned.
        """
        self._report_unalignable("train", "val")

    def on_test_start(self) -> None:
        self._report_unalignable("test")

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._examples = []

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        for reference, output in self._examples:
            log.info("val: said %r, read %r", reference, output)

    def _score(self, log_probs: Tensor, steps: Tensor, batch: TranscriptBatch, stage: Stage) -> None:
        if stage == "val":
            found = ctc_best_path(log_probs, steps, blank=BLANK)
        else:
            found = [row[0] for row in self.transcribe(log_probs, steps)]
        outputs = [self.text(row.tokens) for row in found]
        targets = zip(batch.targets.tolist(), batch.target_lengths.tolist(), strict=True)
        references = [self.text(row[:length], unknown="\ufffd") for row, length in targets]
        self._metrics_of(stage).update(outputs, references)
        if stage == "val":
            room = EXAMPLES - len(self._examples)
            self._examples += list(zip(references, outputs, strict=True))[:room]

    def _record(self, found: Sequence[Transcription]) -> dict[str, Any]:
        texts = [{"text": self.text(each.tokens), "score": each.score} for each in found]
        return {"text": texts[0]["text"]} if self.n_best is None else {**texts[0], "n_best": texts}

    def _report_unalignable(self, *names: str) -> None:
        lengths_of = getattr(self.model, "output_lengths", lambda lengths: lengths)
        for name, split in _splits(getattr(self.trainer, "datamodule", None), names):
            needed, steps = split.steps_needed, lengths_of(split.lengths)
            rows = (needed > steps).nonzero().flatten().tolist()
            if not rows:
                continue
            each = [f"{split.places[row]} ({int(needed[row])} steps needed, {int(steps[row])} there)" for row in rows]
            message = f"{name}: {len(rows)} of {len(split)} transcripts are longer than what the network reads out"
            files = shortened(each, SHOWN, "; ")
            if len(rows) == len(split):
                raise ValueError(f"{message}: {files}; less stride or pool of the front, or a shorter features.hop")
            log.warning("%s, and are left out of the loss: %s", message, files)


def _splits(data: Any, names: Sequence[str]) -> Iterator[tuple[str, TranscribedSounds]]:
    split = getattr(data, "split", None)
    if isinstance(split, TranscribedSounds):  # a single file to test on
        yield names[0], split
    elif callable(split):
        for name in names:
            if isinstance(found := split(name), TranscribedSounds):
                yield name, found


def _check_targets(batch: TranscriptBatch, tokens: int) -> None:
    """Raise ``ValueError`` if a target is no token, unless targets are on an accelerator, where this would stall."""
    if batch.targets.device.type != "cpu":
        return
    places = torch.arange(batch.targets.shape[1]) < batch.target_lengths[:, None]
    wrong = places & ((batch.targets <= BLANK) | (batch.targets >= tokens))
    if wrong.any():
        row, place = wrong.nonzero()[0].tolist()
        value = int(batch.targets[row, place])
        raise ValueError(f"row {row} of the batch: a token must be 1 to {tokens - 1}, as 0 is the blank; got {value}")
