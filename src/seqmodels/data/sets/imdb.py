"""Large Movie Review Dataset: positive or negative film reviews."""

import hashlib
import io
from pathlib import Path

from seqmodels.data.formats.files import DataFile, load, locate
from seqmodels.data.formats.folders import read_folders, read_tar
from seqmodels.data.raw import LabelledTexts, Splits
from seqmodels.data.text.sources import PublishedTexts

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
PUBLISHED = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"  # sha256 of the compressed archive
VAL_SHARE = 0.1


class IMDBData(PublishedTexts):
    """50000 reviews: 22500 train, 2500 val (of the published 25000, drawn by ``data_seed``), 25000 test.

    Read from ``imdb/aclImdb_v1.labeled.tar.gz`` (labelled reviews only), the published ``imdb/aclImdb_v1.tar.gz``, or
    the extracted ``imdb/aclImdb/``. Archives are read in place. HTML line breaks (``<br />``) become spaces.
    """

    name = "imdb"
    folder = "imdb"
    files = (
        DataFile(
            "aclImdb_v1.labeled.tar",
            105758720,
            "d2432b5faae7c4d3c5fa983c5e3d89cb8fda4a8acdeca38aa174e0fb8c77f37c",
            (),
        ),
    )
    citation = "A. L. Maas et al. Learning word vectors for sentiment analysis. ACL 2011"
    license = "free for research"

    def prepare(self) -> None:
        """Raise ``FileNotFoundError`` if the reviews are missing: they are not downloaded."""
        if self._found() is None:
            raise FileNotFoundError(
                f"{self.set_folder.absolute()} has neither aclImdb_v1.labeled.tar.gz nor aclImdb_v1.tar.gz nor "
                f"the folder aclImdb: put {URL} there"
            )

    def splits(self) -> Splits[LabelledTexts]:
        found = self._found()
        if found is None:
            raise FileNotFoundError(f"{self.set_folder.absolute()} has no reviews")
        parts = {name: _plain(texts) for name, texts in self._parts(found).items()}
        train, val = parts["train"].split((1 - VAL_SHARE, VAL_SHARE), self.data_seed)
        return Splits(train, val, parts["test"])

    def _found(self) -> Path | None:
        known = (
            locate(self.set_folder, self.files[0]),
            self.set_folder / "aclImdb_v1.tar.gz",
            self.set_folder / "aclImdb",
        )
        return next((path for path in known if path is not None and path.exists()), None)

    def _parts(self, found: Path) -> dict[str, LabelledTexts]:
        if found.is_dir():
            parts = {name: _labelled(read_folders(found / name)) for name in ("train", "test")}
        elif found.name == "aclImdb_v1.tar.gz":
            with found.open("rb") as source:
                if hashlib.file_digest(source, "sha256").hexdigest() != PUBLISHED:
                    raise ValueError(f"{found} is not the published archive: its sha256 is another")
                source.seek(0)
                parts = {name: _labelled(texts) for name, texts in read_tar(source, str(found)).items()}
        else:
            parts = read_tar(io.BytesIO(load(self.set_folder, self.files[0])), str(found))
        if not {"train", "test"} <= set(parts):
            raise ValueError(f"{found} must hold train and test, got {sorted(parts)}")
        return parts


def _labelled(texts: LabelledTexts) -> LabelledTexts:
    """Drop the unlabelled reviews (``unsup``)."""
    return texts.take([row for row, label in enumerate(texts.labels) if label in ("neg", "pos")])


def _plain(texts: LabelledTexts) -> LabelledTexts:
    return texts._replace(texts=[text.replace("<br />", " ") for text in texts.texts])
