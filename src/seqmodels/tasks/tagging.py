"""Tagging: a tag for each token of a sentence."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor
from torchmetrics import MetricCollection

from seqmodels.data.batch import TargetKind
from seqmodels.data.tagging.batch import TagBatch, TagDataset
from seqmodels.models import Tagger
from seqmodels.sequence import length_mask
from seqmodels.tasks.examples import SHOWN, Shown, show_examples
from seqmodels.tasks.metrics.spans import TagScores
from seqmodels.tasks.predictors.tokens import TagPredictor
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task


class Tagging(Task[TagBatch]):
    """Train and evaluate a tagger with the negative log-probability of the tags, as a mean over all tokens.

    Validation and test compare the most probable tags of each sentence, see
    :class:`~seqmodels.tasks.metrics.spans.TagScores`: ``test/accuracy`` of the tokens, and ``test/span_precision``,
    ``test/span_recall`` and ``test/span_f1`` where tags mark spans.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model is a :class:`~seqmodels.models.Tagger`.
        tag_names: the tags by index.

    Raises:
        TypeError: ``model`` is not a tagger.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> from torch import optim
        >>> model = Tagger(GRUCell, vocab_size=9, character_vocab_size=7, output_size=2, hidden_sizes=[5])
        >>> Tagging(model, optim.Adam, tag_names=["NOUN", "VERB"]).tag_names
        ('NOUN', 'VERB')
    """

    needs: ClassVar[TargetKind] = "tagging"
    model: Tagger

    def __init__(
        self,
        model: Tagger,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        tag_names: Sequence[str],
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if not isinstance(model, Tagger):
            raise TypeError(f"task=tagging needs model=tagger, got {type(model).__name__}")
        self.tag_names = tuple(tag_names)
        self.predictor = TagPredictor(model, self.tag_names)
        for stage in ("val", "test"):
            self.metrics[stage] = MetricCollection({"tags": TagScores(tag_names)}, prefix=f"{stage}/")

    def measure(self, batch: TagBatch, stage: Stage) -> Tensor:
        inputs, lengths, targets = batch
        scores = self.model(inputs, lengths)
        tokens = lengths.sum()
        loss = self.model.tags.losses(scores, targets, lengths).sum() / tokens
        self._means[stage].add({"loss": loss}, tokens)
        if stage != "train":
            real = length_mask(lengths, targets.shape[1])
            self._metrics_of(stage).update(self.model.tags.best(scores, lengths), targets, real)
        return loss

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        data: Any = getattr(self.trainer, "datamodule", None)
        split = data.split("val") if hasattr(data, "split") else None
        if isinstance(split, TagDataset) and self.trainer.is_global_zero and not self.trainer.sanity_checking:
            show_examples(self._examples(split), "val", self.loggers, self.global_step)

    def _examples(self, split: TagDataset) -> list[Shown]:
        """Return the first sentences of a split with their tags and those of the model, each below its word."""
        rows = list(range(min(SHOWN, len(split))))
        batch: TagBatch = self.transfer_batch_to_device(split.__getitems__(rows), self.device, 0)
        found = self.predict_step(batch).tolist()
        examples = []
        for row, true in zip(rows, batch.targets.tolist(), strict=True):
            words = split.words(row)
            tags = ([self.tag_names[tag] for tag in part[: len(words)]] for part in (true, found[row]))
            columns = [[cell.ljust(max(map(len, cells))) for cell in cells] for cells in zip(words, *tags, strict=True)]
            examples.append(Shown(*(" ".join(line).rstrip() for line in zip(*columns, strict=True))))
        return examples

    def predict_step(self, batch: TagBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return the most probable tags ``(batch, time)`` of each sentence, 0 past its length."""
        return self.model.tags.best(self.model(batch.inputs, batch.lengths), batch.lengths)

    def records(self, batch: TagBatch, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return the most probable tags of each sentence."""
        return self.predictor.records(batch, class_names)
