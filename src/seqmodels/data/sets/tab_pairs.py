"""Sentences of Tatoeba in English and French."""

import io
import zipfile
from dataclasses import dataclass
from typing import Literal, get_args

from seqmodels.data.formats.files import DataFile, load
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.raw import Splits
from seqmodels.data.text.pairs.sources import PublishedPairs
from seqmodels.data.text.pairs.texts import PairedTexts

Direction = Literal["eng-fra", "fra-eng"]
SHARES = (0.9, 0.05, 0.05)
ARCHIVE = DataFile(
    "fra-eng.zip",
    2951390,
    "16c4f7d0df9e7c5e6c54cdb0447f3f4a18a55052ff5e2e0b27dd4a06c0e49d04",
    (
        "https://raw.githubusercontent.com/genimind/seq2seq/4f3f8eb0adde54fcc8b89394336b002e7961244c/fra-eng.zip",
        "https://www.manythings.org/anki/fra-eng.zip",
    ),
)


@dataclass(kw_only=True)
class TabPairsData(PublishedPairs):
    """142787 pairs of short sentences of everyday life, as ManyThings published them in 2017, a tab between the two.

    Split at random by source: all translations of a sentence are in one split.

    Args:
        direction: ``eng-fra``, from English to French, or ``fra-eng``.
        data_seed: seed of the split.

    Raises:
        ValueError: ``direction`` is not among its choices.
    """

    name = "tab_pairs"
    folder = "tab-pairs-fra-eng"
    files = (ARCHIVE,)
    citation = "Tatoeba, https://tatoeba.org, prepared by C. Kelly, https://www.manythings.org/anki"
    license = "CC BY 2.0 FR"

    direction: Direction = "eng-fra"
    data_seed: int = 0

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise ValueError(f"direction must be one of {', '.join(get_args(Direction))}, got {self.direction!r}")

    def splits(self) -> Splits[PairedTexts]:
        with zipfile.ZipFile(io.BytesIO(load(self.set_folder, ARCHIVE))) as archive:
            text = decoded(archive.read("fra.txt"), "fra-eng.zip, fra.txt")
        pairs = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
        order = (0, 1) if self.direction == "eng-fra" else (1, 0)
        sources, targets = ([pair[side] for pair in pairs] for side in order)
        places = [f"fra.txt, line {number}" for number in range(1, len(pairs) + 1)]
        return Splits(*PairedTexts(sources, [(text,) for text in targets], places).split(SHARES, self.data_seed))
