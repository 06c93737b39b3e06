"""The Stanford Sentiment Treebank, positive or negative, whole sentences."""

from collections.abc import Mapping
from typing import ClassVar

from seqmodels.data.delimited import Delimited, parse_table
from seqmodels.data.files import DataFile, load
from seqmodels.data.labelled_text import LabelledTexts
from seqmodels.data.published_labels import PublishedLabelsData

MIRROR = "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/master/data/SST2/"


def _file(part: str, size: int, sha256: str) -> DataFile:
    return DataFile(f"SST2/{part}.tsv", size, sha256, (f"{MIRROR}{part}.tsv",))


FILES = {
    "train": _file("train", 720259, "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
    "val": _file("dev", 92057, "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
    "test": _file("test", 188749, "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
}
NAMES = {"0": "negative", "1": "positive"}


class SST2Data(PublishedLabelsData):
    """Sentences of film reviews, split into words already: 6920 to train, 872 to validate, 1821 to test, as published.

    Phrases of the treebank are not among them. Options as for all published sets of labelled texts.
    """

    name = "sst2"
    folder = "sst2"
    files: ClassVar[tuple[DataFile, ...]] = tuple(FILES.values())
    citation = (
        "R. Socher et al. Recursive deep models for semantic compositionality over a sentiment treebank. EMNLP 2013"
    )
    license = "research use"

    def read(self) -> Mapping[str, LabelledTexts]:
        form = Delimited(delimiter="\t", header=False, quotes=False)
        tables = {part: parse_table(load(self.path, file), file.name, 0, 1, form) for part, file in FILES.items()}
        return {
            part: table._replace(labels=[(NAMES[row[0]],) for row in table.labels]) for part, table in tables.items()
        }
