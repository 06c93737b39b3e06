"""AG's News: classify news into four topics."""

from pathlib import Path

from seqmodels.data.formats.files import DataFile, load, locate, whole_content
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.raw import LabelledTexts, Splits
from seqmodels.data.text.labelled_table import parse_table
from seqmodels.data.text.sources import PublishedTexts

MIRROR = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
TRAIN, TEST = "ag_news_csv/train.csv", "ag_news_csv/test.csv"
NAMES = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}
VAL_SHARE = 0.05


class AGNewsData(PublishedTexts):
    """Titles and first sentences: 114000 train, 6000 val (of the published 120000), 7600 test.

    The val split is drawn by ``data_seed``, 5 % of each class. ``train.csv`` is read without verification, since its
    checksum is not known here; ``test.csv`` is verified.
    """

    name = "ag_news"
    folder = "ag_news"
    files = (
        DataFile(
            TEST,
            1857427,
            "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
            (f"{MIRROR}test.csv",),
        ),
    )
    citation = (
        "X. Zhang, J. Zhao and Y. LeCun. Character-level convolutional networks for text classification. NIPS 2015"
    )
    license = "non-commercial research"

    def prepare(self) -> None:
        """Download the test file if missing and allowed; the train file must exist.

        Raises:
            FileNotFoundError: a file is missing.
        """
        super().prepare()
        self._train()

    def _train(self) -> Path:
        path = locate(self.set_folder, DataFile(TRAIN, 0, "", ()))
        if path is None:
            test = locate(self.set_folder, self.files[0]) or self.set_folder / TEST
            raise FileNotFoundError(
                f"{self.set_folder.absolute()} lacks {TRAIN} (plain or with .gz), 120000 rows to train with: put "
                f"{MIRROR}train.csv there. The test part alone is a table of its own: "
                f"data=text_csv data.path={test} data.header=false data.text=[1,2] data.label=0"
            )
        return path

    def splits(self) -> Splits[LabelledTexts]:
        dialect = CSVDialect(header=False)
        path = self._train()
        whole = _named(parse_table(whole_content(path), str(path), (1, 2), 0, dialect))
        train, val = whole.split((1 - VAL_SHARE, VAL_SHARE), self.data_seed)
        test = parse_table(load(self.set_folder, self.files[0]), TEST, (1, 2), 0, dialect)
        return Splits(train, val, _named(test))


def _named(table: LabelledTexts) -> LabelledTexts:
    """Replace class numbers by class names; raise ``ValueError`` for an unknown number."""
    for number, place in zip(table.labels, table.places, strict=True):
        if number not in NAMES:
            raise ValueError(f"{place}: a class must be one of {', '.join(NAMES)}, got {number!r}")
    return table._replace(labels=[NAMES[number] for number in table.labels], columns=("text",), dialect=None)
