"""Labelled texts as tokens, with a vocabulary learnt from training texts, and numeric classes or labels."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from seqmodels.data.labelled.targets import class_names_of, number_targets
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import LabelledTexts, Splits
from seqmodels.data.series.scaling import fit_scaling
from seqmodels.data.text.token_preprocessing import Empty, TokenPreprocessing, check_options
from seqmodels.data.text.vocabulary_learning import VocabularyLearner

log = logging.getLogger("seqmodels")


@dataclass(kw_only=True)
class TextPreparation(Preparation):
    """Labelled texts tokenised with a vocabulary of the train split; statistics are logged and kept in ``counts``.

    Args:
        vocabulary: learns it from the train split.
        max_length: maximum number of tokens per text; longer texts are truncated and counted. No limit if None.
        empty: whether a text without tokens is an error (``error``) or dropped and counted (``drop``).
    """

    vocabulary: VocabularyLearner
    max_length: int | None = None
    empty: Empty = "error"

    def __post_init__(self) -> None:
        check_options(self.max_length, self.empty)

    def prepare(self, splits: Splits[LabelledTexts]) -> Prepared:
        train = splits.train
        if not train.texts:
            raise ValueError("the train split is empty")
        vocabulary = self.vocabulary.learn(train.texts)
        names = () if train.numbers else _label_names(train.labels)
        preprocessing = TokenPreprocessing(
            vocabulary=vocabulary,
            field=train.columns,
            max_length=self.max_length,
            label=train.label,
            separator=train.separator,
            empty=self.empty,
            dialect={} if train.dialect is None else train.dialect._asdict(),
            **_scale(train),
        )
        if train.dialect is not None:
            columns, delimiter = ", ".join(train.columns), train.dialect.delimiter
            how = f"; columns delimited by {delimiter!r}" if delimiter else ""  # a folder of texts has no columns
            log.info("text: %s; label: %s%s", columns, train.label, how)
        log.info("vocabulary: %s; %s", vocabulary, "numbers to predict" if train.numbers else f"{len(names)} labels")
        datasets, counts = {}, {}
        for name, part in splits._asdict().items():
            if part is None:
                continue
            datasets[name], counts[name] = preprocessing.dataset(part, names)
            log.info("%s: %s", name, counts[name])
        sizes: dict[str, Any] = {"vocab_size": len(vocabulary), "output_size": len(names) or 1}
        sizes |= preprocessing.targets.sizes if train.numbers else {}
        return Prepared(Splits(**datasets), sizes, preprocessing.node, names, counts)


def _label_names(labels: Iterable[Any]) -> tuple[str, ...]:
    """Return all labels, sorted."""
    return class_names_of(label for row in labels for label in ((row,) if isinstance(row, str) else row))


def _scale(train: LabelledTexts) -> dict[str, list[float]]:
    """Return mean and deviation of the labels if they are numbers."""
    if not train.numbers:
        return {}
    mean, deviation = fit_scaling(number_targets([[label] for label in train.labels], train.places, [train.label]))
    return {"target_mean": mean.tolist(), "target_deviation": deviation.tolist()}
