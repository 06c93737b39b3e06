"""Tagged sentences as numbers, with vocabularies learnt from the train split."""

import logging
from dataclasses import dataclass

from seqmodels.data.labelled.targets import SHOWN, class_names_of
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import Splits
from seqmodels.data.tagging.preprocessing import TagPreprocessing, joined
from seqmodels.data.tagging.sentences import TaggedSentences
from seqmodels.data.text.vocabulary import Splitting, check_splitting
from seqmodels.data.text.vocabulary_learning import CharacterLearner, WordLearner
from seqmodels.errors import shortened

log = logging.getLogger("seqmodels")


@dataclass(kw_only=True)
class TagPreparation(Preparation):
    """Tagged sentences as numbers of words and characters; statistics are logged and kept in ``counts``.

    Tags of the other splits that the train split lacks are tags too: they are not learnt, and a warning says where they
    occur.

    Args:
        vocabulary: learns the words of the train split, with ``splitting="spaces"``. All their characters are learnt.
        splitting: how texts to tag are split into words, see :class:`~seqmodels.data.WordVocabulary`.

    Raises:
        ValueError: the vocabulary would split tokens.
    """

    vocabulary: WordLearner
    splitting: Splitting = "words"

    def __post_init__(self) -> None:
        check_splitting(self.splitting)
        if not isinstance(self.vocabulary, WordLearner) or self.vocabulary.splitting != "spaces":
            raise ValueError(
                "the vocabulary of tagged sentences is one of whole tokens: choose vocabulary=token "
                f"(a WordLearner with splitting=spaces), got {self.vocabulary!r}"
            )

    def prepare(self, splits: Splits[TaggedSentences]) -> Prepared:
        train = splits.train
        if not train.tokens:
            raise ValueError("the train split is empty")
        preprocessing = TagPreprocessing(
            vocabulary=self.vocabulary.learn(" ".join(map(joined, tokens)) for tokens in train.tokens),
            characters=CharacterLearner().learn(map("".join, train.tokens)),
            splitting=self.splitting,
            layout={} if train.layout is None else train.layout._asdict(),
        )
        names = _tag_names(splits)
        log.info("vocabulary: %s; %d tags", preprocessing.vocabulary, len(names))
        datasets, counts = {}, {}
        for name, part in splits._asdict().items():
            if part is None:
                continue
            datasets[name], counts[name] = preprocessing.dataset(part, names)
            log.info("%s: %s", name, counts[name])
        sizes = {
            "vocab_size": len(preprocessing.vocabulary),
            "character_vocab_size": len(preprocessing.characters),
            "output_size": len(names),
            "tag_names": list(names),
        }
        return Prepared(Splits(**datasets), sizes, preprocessing.node, names, counts)


def _tag_names(splits: Splits[TaggedSentences]) -> tuple[str, ...]:
    """Return the tags of all splits, sorted; a warning says which of them the train split lacks."""
    known = {tag for tags in splits.train.tags for tag in tags}
    new: dict[str, str] = {}
    for part in (splits.val, splits.test):
        for place, tags in zip(part.places, part.tags, strict=True) if part is not None else ():
            new |= {tag: place for tag in tags if tag not in known and tag not in new}
    if new:
        where = shortened([f"{tag!r} ({place})" for tag, place in new.items()], SHOWN)
        log.warning("tags that do not occur in the train split, and so are never learnt: %s", where)
    return class_names_of(known | set(new))
