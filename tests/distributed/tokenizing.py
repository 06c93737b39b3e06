"""One of several processes that read the same text at the same time; each learning adds a line to a file."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from seqmodels.data import DataModule, Loading, TextData, TokenizedPreparation
from seqmodels.data.text.vocabulary import CharacterVocabulary
from seqmodels.data.text.vocabulary_learning import CharacterLearner


class Noted(CharacterLearner):
    """Learns characters, and records that it does."""

    def learn(self, texts: Iterable[str]) -> CharacterVocabulary:
        with Path("learnt").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return super().learn(texts)


if __name__ == "__main__":
    Path(f"here-{os.getpid()}").touch()
    while len(list(Path().glob("here-*"))) < int(sys.argv[1]):  # they begin together
        pass
    data = DataModule(
        TextData(path="own.txt"),
        TokenizedPreparation(vocabulary=Noted(), cache_dir="tokens", bptt=5),
        Loading(batch_size=2),
    )
    data.setup()
    print([int(data.split(split).corpus.tokens.sum()) for split in ("train", "val", "test")])  # noqa: T201
