"""The English Web Treebank of Universal Dependencies."""

from dataclasses import dataclass
from typing import Literal, get_args

from seqmodels.data.formats.files import DataFile, github_file, load
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.formats.tagged.conllu import read_conllu
from seqmodels.data.raw import Splits
from seqmodels.data.source import PublishedSource
from seqmodels.data.tagging.preparation import TagPreparation
from seqmodels.data.tagging.sentences import TaggedSentences

REPOSITORY = "UniversalDependencies/UD_English-EWT"
COMMIT = "15d613d8447b3478787d4c278730a1e48a945efb"
Tag = Literal["upos", "xpos", "deprel"]


def _file(part: str, size: int, sha256: str) -> DataFile:
    return github_file(REPOSITORY, f"en_ewt-ud-{part}.conllu", COMMIT, size, sha256)


FILES = {
    "train": _file("train", 14203025, "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b"),
    "val": _file("dev", 1805545, "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6"),
    "test": _file("test", 1804515, "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd"),
}


@dataclass(kw_only=True)
class UDEWTData(PublishedSource):
    """Web logs, newsgroups, e-mails, reviews and answers: 12544 sentences to train with, 2001 for val, 2077 for test.

    Tokens are syntactic words: 204577, 25147 and 25094.

    Args:
        tag: the tags to learn: ``upos``, the 17 universal parts of speech; ``xpos``, those of the Penn Treebank; or
            ``deprel``, the relation to the head.
    """

    name = "ud_ewt"
    target_kind = "tagging"
    folder = "ud-english-ewt"
    files = tuple(FILES.values())
    citation = "N. Silveira et al. A gold standard dependency corpus for English. LREC 2014"
    license = "CC BY-SA 4.0"
    preparation = TagPreparation

    tag: Tag = "upos"

    def __post_init__(self) -> None:
        if self.tag not in get_args(Tag):
            raise ValueError(f"tag must be one of {', '.join(get_args(Tag))}, got {self.tag!r}")

    def splits(self) -> Splits[TaggedSentences]:
        texts = {part: decoded(load(self.set_folder, file), file.name) for part, file in FILES.items()}
        read = {part: read_conllu(text.split("\n"), FILES[part].name, self.tag) for part, text in texts.items()}
        return Splits(**{part: TaggedSentences.of(records) for part, records in read.items()})
