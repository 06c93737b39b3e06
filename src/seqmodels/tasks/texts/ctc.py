"""Transcription of sequences with connectionist temporal classification (CTC)."""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from seqmodels.data import SpeechPreprocessing, TranscriptBatch
from seqmodels.data.audio.datasets import TranscribedSounds
from seqmodels.data.batch import TargetKind
from seqmodels.errors import shortened
from seqmodels.models import CTCNetwork
from seqmodels.tasks.predictors.texts import TranscriptPredictor
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage
from seqmodels.tasks.texts.ctc_search import CTCSearch
from seqmodels.tasks.texts.metrics import Output, metrics_of
from seqmodels.tasks.texts.text_task import TextTask

SHOWN = 3  # files that a message names

log = logging.getLogger("seqmodels")


class CTC(TextTask[TranscriptBatch]):
    r"""Train and evaluate a network that transcribes sequences, with the CTC loss (Graves et al., 2006).

    .. math::

        \ell = - \frac{1}{|y|} \log \sum_{a \in A(y)} \prod_t p_t(a_t \mid x)

    over all alignments :math:`a` of the transcript :math:`y`: tokens that may last several steps, with blanks, class 0,
    between them. Losses are means over recordings. A transcript with more tokens, and blanks between equal ones, than
    the network has steps cannot be aligned: its recording is left out of the loss, and named and counted in the log.

    Validation and test compare what is read with the transcripts. A unit that the vocabulary lacks is never read, and
    so always an error. At each validation, three examples are logged.

    Args:
        model, optimizer, scheduler: as in :class:`~seqmodels.tasks.Task`.
        preprocessing: the units of the transcripts of the data.
        search: how transcripts are read in tests and predictions; validation takes the best path.
        metrics: names of metrics: ``wer``, ``cer``, ``exact_match``, and ``per`` for phonemes separated by spaces.

    Raises:
        TypeError: ``model`` is not a network for CTC.
        ValueError: a metric is unknown.

    Example:
        >>> from functools import partial
        >>> from torch import optim
        >>> from seqmodels.cells import GRUCell
        >>> from seqmodels.data import CharacterVocabulary, LogMel
        >>> letters = CharacterVocabulary(["<pad>", "<unk>", "a", "b"])
        >>> features = LogMel(sample_rate=8000, bands=2)
        >>> speech = SpeechPreprocessing(vocabulary=letters, features=features, mean=[0, 0], deviation=[1, 1])
        >>> model = CTCNetwork(partial(GRUCell, hidden_size=4), input_size=2, output_size=4)
        >>> list(CTC(model, optim.Adam, preprocessing=speech).text_metrics)
        ['wer', 'cer']
    """

    needs: ClassVar[TargetKind] = "ctc"
    model: CTCNetwork

    def __init__(
        self,
        model: CTCNetwork,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        preprocessing: SpeechPreprocessing,
        search: CTCSearch | None = None,
        metrics: Sequence[str] = ("wer", "cer"),
    ) -> None:
        super().__init__(model, optimizer, scheduler, metrics_of(metrics, "words"))
        if not hasattr(model, "output_lengths"):
            raise TypeError(f"task=ctc needs model=ctc_network, got {type(model).__name__}")
        self.preprocessing = preprocessing
        self.predictor = TranscriptPredictor(model, preprocessing, search)

    def measure(self, batch: TranscriptBatch, stage: Stage) -> Tensor:
        _check_targets(batch, len(self.preprocessing.vocabulary))
        log_probs, steps = self.log_probs(batch)
        targets, lengths = batch.targets, batch.target_lengths
        losses = F.ctc_loss(log_probs.transpose(0, 1), targets, steps, lengths, reduction="none", zero_infinity=True)
        aligned = batch.steps_needed <= steps.to(targets.device)
        rows = aligned.sum()
        loss = (losses / lengths).masked_fill(~aligned, 0).sum() / rows.clamp(min=1)
        self._means[stage].add({"loss": loss}, rows)
        if stage != "train":
            self._outputs[stage] += self._read(log_probs.detach(), steps, batch, stage)
        return loss

    def log_probs(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return log-probabilities ``(batch, steps, units)``, and how many steps each row has."""
        return self.predictor.log_probs(batch)

    def records(self, batch: Any, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return for each row its best transcripts, best first, with their scores."""
        return self.predictor.records(batch, class_names)

    @property
    def search(self) -> CTCSearch:
        """How the transcripts of tests and predictions are read."""
        assert self.predictor.search is not None
        return self.predictor.search

    @search.setter
    def search(self, search: CTCSearch) -> None:
        self.predictor.search = search

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the outputs of the last test."""
        rows = [
            {"file": each.source, "text": each.references[0], "output": each.output} for each in self._outputs["test"]
        ]
        return {"outputs.csv": rows} if rows else {}

    def on_fit_start(self) -> None:
        """Name and count the transcripts that cannot be aligned.

        Raises:
            ValueError: no transcript of a split can be aligned.
        """
        self._report_too_long("train", "val")

    def on_test_start(self) -> None:
        self._report_too_long("test")

    def _read(self, log_probs: Tensor, steps: Tensor, batch: TranscriptBatch, stage: Stage) -> list[Output]:
        search = CTCSearch() if stage == "val" else self.search
        found = search.found(log_probs, steps, self.predictor.ngram)
        return [
            Output(row.place, (row.text,), self.preprocessing.written(best[0].tokens), row.row)
            for row, best in zip(batch.spoken, found, strict=True)
        ]

    def _report_too_long(self, *names: str) -> None:
        split = getattr(getattr(self.trainer, "datamodule", None), "split", None)
        for name in names:
            rows = split(name) if callable(split) else split  # a file to test on is one split
            if not isinstance(rows, TranscribedSounds):
                continue
            steps = self.model.output_lengths(rows.lengths).tolist()
            needed = [int(rows.__getitems__([row]).steps_needed) for row in range(len(rows))]
            long = [row for row in range(len(rows)) if needed[row] > steps[row]]
            if not long:
                continue
            each = [f"{rows.spoken[row].place} (needs {needed[row]} steps, has {steps[row]})" for row in long]
            found = f"{name}: {len(long)} of {len(rows)} transcripts are longer than what the network reads out"
            if len(long) == len(rows):
                hint = "a front with less stride or pool, or a shorter features.hop"
                raise ValueError(f"{found}: {shortened(each, SHOWN, '; ')}; {hint}")
            log.warning("%s, and are left out of the loss: %s", found, shortened(each, SHOWN, "; "))


def _check_targets(batch: TranscriptBatch, units: int) -> None:
    """Raise ``ValueError`` if a target is no unit, unless targets are on an accelerator, where this would stall."""
    if batch.targets.device.type != "cpu":
        return
    real = torch.arange(batch.targets.shape[1]) < batch.target_lengths[:, None]
    wrong = real & ((batch.targets < 1) | (batch.targets >= units))
    if wrong.any():
        row, place = wrong.nonzero()[0].tolist()
        value = int(batch.targets[row, place])
        raise ValueError(f"row {row} of the batch: a unit must be 1 to {units - 1}, as 0 is the blank; got {value}")
