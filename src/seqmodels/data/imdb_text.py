"""Reviews of films as text for language models."""

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seqmodels.data.corpus import Corpus
from seqmodels.data.language_modeling import LanguageModelingData
from seqmodels.data.text_files import decoded
from seqmodels.data.tokenized import TextSource, tokenized
from seqmodels.data.vocabulary_learning import VocabularyLearner

ARCHIVES = ("aclImdb_v1.tar.gz", "aclImdb_v1.labeled.tar.gz")
LONGEST = 1 << 20  # bytes of a review; the longest that was published has 14 thousand
BREAK = "<br />"


class IMDBTextData(LanguageModelingData):
    """The 25000 training and 25000 test reviews that have a label, without it; each is a document.

    Every tenth training review is for validation. A break of the web page is a line end.

    Args:
        data_dir: holds the folder ``imdb`` with the published archive, or with its labelled part.
        vocabulary, cache_dir: as in :class:`~seqmodels.data.text.TextData`.
        others: as in :class:`~seqmodels.data.language_modeling.LanguageModelingData`.
    """

    name = "imdb_text"
    folder = "imdb"
    citation = (
        "A. L. Maas, R. E. Daly, P. T. Pham, D. Huang, A. Y. Ng and C. Potts. Learning word vectors for sentiment "
        "analysis. ACL 2011. https://ai.stanford.edu/~amaas/data/sentiment/"
    )
    license = "free for research; cite the paper"

    def __init__(
        self,
        data_dir: str | Path,
        vocabulary: VocabularyLearner,
        *,
        cache_dir: str | Path | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        bptt: int = 64,
        random_windows: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            bptt=bptt,
            random_windows=random_windows,
            seed=seed,
        )
        self.path = Path(data_dir) / self.folder
        self.vocabulary = vocabulary
        self.cache_dir = cache_dir

    def prepare_data(self) -> None:
        """Raise ``FileNotFoundError`` where the archive is missing."""
        if not any((self.path / name).is_file() for name in ARCHIVES):
            raise FileNotFoundError(f"{self.path.absolute()} lacks {' or '.join(ARCHIVES)}: put the archive there")

    def splits(self) -> Mapping[str, Corpus]:
        self.prepare_data()
        archive = next(self.path / name for name in ARCHIVES if (self.path / name).is_file())
        self.text, corpora = tokenized(Reviews(archive), self.vocabulary, self.cache_dir)
        return corpora


class Reviews(TextSource):
    """The reviews of the archive, read from it as it lies there."""

    name = "imdb_text"

    def __init__(self, archive: Path) -> None:
        self.archive = archive

    @property
    def origin(self) -> dict[str, Any]:
        stat = self.archive.stat()
        return {"files": [[str(self.archive.absolute()), stat.st_size, stat.st_mtime_ns]]}

    def documents(self, split: str) -> Iterator[Iterator[str]]:
        part = "test" if split == "test" else "train"
        for number, review in enumerate(reviews(self.archive, part)):
            if split == "test" or (number % 10 == 9) == (split == "val"):
                yield iter([review.replace(BREAK, "\n")])


def reviews(archive: Path, part: str) -> Iterator[str]:
    """Yield the labelled reviews of ``train`` or ``test`` in the order of the archive; nothing is unpacked to disk.

    Raises:
        ValueError: the archive is damaged, or a review is no UTF-8 or too long.
    """
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                *_, above, label, name = ["", "", *member.name.split("/")]
                if above != part or label not in ("pos", "neg") or not name.endswith(".txt") or not member.isfile():
                    continue
                if member.size > LONGEST:
                    raise ValueError(f"{archive}, {member.name}: a review of {member.size} bytes is none")
                content = members.extractfile(member)
                assert content is not None
                yield decoded(content.read(), f"{archive}, {member.name}")
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{archive} is not a whole archive: {error}") from error
