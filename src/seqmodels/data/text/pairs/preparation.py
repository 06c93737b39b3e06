"""Pairs of texts as tokens, with vocabularies learnt from the train split."""

import dataclasses
import logging
from dataclasses import dataclass
from itertools import chain

from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import Splits
from seqmodels.data.text.pairs.preprocessing import PairPreprocessing
from seqmodels.data.text.pairs.texts import PairedTexts
from seqmodels.data.text.token_preprocessing import Empty
from seqmodels.data.text.vocabulary_learning import VocabularyLearner

log = logging.getLogger("seqmodels")


@dataclass(kw_only=True)
class PairPreparation(Preparation):
    """Pairs tokenised with vocabularies of the train split; statistics are logged and kept in ``counts``.

    In the train split, a source with several targets is one row for each.

    Args:
        vocabulary: learns the tokens of the sources, and those of the targets.
        target_vocabulary: learns the tokens of the targets instead.
        shared_vocabulary: whether sources and targets have one vocabulary, learnt from both.
        max_length, max_target_length: maximum number of tokens of a source and target; longer ones are truncated and
            counted. No limit if None.
        empty: whether a pair with an empty source or target is an error (``error``) or dropped and counted (``drop``).

    Raises:
        ValueError: a limit is below 1, or a vocabulary is shared and ``target_vocabulary`` given.
    """

    vocabulary: VocabularyLearner
    target_vocabulary: VocabularyLearner | None = None
    shared_vocabulary: bool = False
    max_length: int | None = None
    max_target_length: int | None = None
    empty: Empty = "error"

    def __post_init__(self) -> None:
        if self.shared_vocabulary and self.target_vocabulary is not None:
            raise ValueError("shared_vocabulary: one vocabulary for both sides cannot have a target_vocabulary too")

    def prepare(self, splits: Splits[PairedTexts]) -> Prepared:
        train = splits.train.single()
        if not train.sources:
            raise ValueError("the train split is empty")
        preprocessing = self._fitted(train)
        log.info("sources: %s", preprocessing.source_vocabulary)
        log.info("targets: %s", preprocessing.target_vocabulary)
        datasets, counts = {}, {}
        for name, part in splits._replace(train=train)._asdict().items():
            if part is not None:
                datasets[name], counts[name] = preprocessing.dataset(part, texts=name != "train")
                log.info("%s: %s", name, counts[name])
        rows = datasets["train"].pairs
        preprocessing.longest = max((len(pair.source) for pair in rows), default=0)
        preprocessing.longest_target = max((len(pair.target) - 1 for pair in rows), default=0)
        sizes = {
            "source_vocab_size": len(preprocessing.source_vocabulary),
            "target_vocab_size": len(preprocessing.target_vocabulary),
        }
        return Prepared(Splits(**datasets), sizes, preprocessing.node, counts=counts)

    def _fitted(self, train: PairedTexts) -> PairPreprocessing:
        targets = [text for texts in train.targets for text in texts]
        learner = dataclasses.replace(self.target_vocabulary or self.vocabulary, eos=True)
        if self.shared_vocabulary:
            source_vocabulary = target_vocabulary = learner.learn(list(chain(train.sources, targets)))
        else:
            source_vocabulary, target_vocabulary = self.vocabulary.learn(train.sources), learner.learn(targets)
        return PairPreprocessing(
            source_vocabulary=source_vocabulary,
            target_vocabulary=target_vocabulary,
            source=train.columns[0],
            target=train.columns[1],
            max_length=self.max_length,
            max_target_length=self.max_target_length,
            empty=self.empty,
            unit=train.unit,
            dialect={} if train.dialect is None else train.dialect._asdict(),
        )
