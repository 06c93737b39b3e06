"""Stanford Sentiment Treebank, binary, full sentences."""

from seqmodels.data.formats.files import DataFile, load
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.raw import LabelledTexts, Splits
from seqmodels.data.text.labelled_table import parse_table
from seqmodels.data.text.sources import PublishedTexts

MIRROR = "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/master/data/SST2/"


def _file(part: str, size: int, sha256: str) -> DataFile:
    return DataFile(f"SST2/{part}.tsv", size, sha256, (f"{MIRROR}{part}.tsv",))


FILES = {
    "train": _file("train", 720259, "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
    "val": _file("dev", 92057, "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
    "test": _file("test", 188749, "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
}
NAMES = {"0": "negative", "1": "positive"}


class SST2Data(PublishedTexts):
    """Pre-tokenised sentences of film reviews: 6920 train, 872 val, 1821 test, as published.

    Phrases of the treebank are not included.
    """

    name = "sst2"
    folder = "sst2"
    files = tuple(FILES.values())
    citation = (
        "R. Socher et al. Recursive deep models for semantic compositionality over a sentiment treebank. EMNLP 2013"
    )
    license = "research use"

    def splits(self) -> Splits[LabelledTexts]:
        return Splits(**{part: self._table(file) for part, file in FILES.items()})

    def _table(self, file: DataFile) -> LabelledTexts:
        dialect = CSVDialect(delimiter="\t", header=False, quotes=False)
        table = parse_table(load(self.set_folder, file), file.name, 0, 1, dialect)
        return table._replace(labels=[NAMES[label] for label in table.labels], columns=("text",), dialect=None)
