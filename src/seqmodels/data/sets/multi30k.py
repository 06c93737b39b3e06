"""Multi30k: descriptions of photographs in German and English."""

from dataclasses import dataclass
from typing import Literal, get_args

from seqmodels.data.formats.files import DataFile, load
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.raw import Splits
from seqmodels.data.text.pairs.sources import PublishedPairs
from seqmodels.data.text.pairs.texts import PairedTexts, lines_as_pairs

Direction = Literal["de-en", "en-de"]
TestSet = Literal["test_2016_flickr", "test_2017_flickr", "test_2017_mscoco", "test_2018_flickr"]
COMMIT = "a3d2e0d26b56f3846f66a952536ffed4e401d05a"
FOLDER = "task1/raw"
CONTENT = {
    "train.de": (2110398, "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72"),
    "train.en": (1801238, "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6"),
    "val.de": (75981, "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660"),
    "val.en": (63297, "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227"),
    "test_2016_flickr.de": (70649, "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16"),
    "test_2016_flickr.en": (62076, "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182"),
    "test_2017_flickr.de": (64059, "c3078bc3b36808bf9d20eb2347ed6137016179ef59ec0d2b9b8ecc3fb2880081"),
    "test_2017_flickr.en": (55242, "ce1450ddc5ab0834502579d77a170849952e15a2938b34cc503bdc25ebb4fb98"),
    "test_2017_mscoco.de": (29906, "58277df3c75f92f7145a11b910b553d1cf82c439249d4dc237c899609eafac22"),
    "test_2017_mscoco.en": (24949, "43051fdfa86fd5395182e718a94ca67b1b227b9f7c79596ff0f6b813216981d2"),
    "test_2018_flickr.de": (80893, "39fcc8b3331d76fb42d648d019c6898b0d5e58baac87bc2a0bb93f44ec8db207"),
    "test_2018_flickr.en": (70603, "4e585c2dd525911a6ea7730e9d0b516239af3f1b1ffae6a2130223cfb639f25e"),
}


def _file(name: str, size: int, sha256: str) -> DataFile:
    path = f"multi30k/dataset/{COMMIT}/data/{FOLDER}/{name}.gz"
    return DataFile(f"{FOLDER}/{name}", size, sha256, (f"https://raw.githubusercontent.com/{path}",))


FILES = {name: _file(name, *content) for name, content in CONTENT.items()}


@dataclass(kw_only=True)
class Multi30kData(PublishedPairs):
    """29000 pairs to train, 1014 to validate, and one of four published test sets, of 1000, 1000, 461 and 1071 pairs.

    Args:
        direction: ``de-en``, from German to English, or ``en-de``.
        test_set: the test set; published results are of ``test_2016_flickr``.

    Raises:
        ValueError: an option is not among its choices.
    """

    name = "multi30k"
    folder = "multi30k-de-en"
    files = tuple(FILES.values())
    citation = (
        "D. Elliott, S. Frank, K. Sima'an and L. Specia. Multi30K: multilingual English-German image descriptions. "
        "Workshop on Vision and Language 2016"
    )
    license = "non-commercial research, as the photographs of Flickr"

    direction: Direction = "de-en"
    test_set: TestSet = "test_2016_flickr"

    def __post_init__(self) -> None:
        for option, choices in (("direction", Direction), ("test_set", TestSet)):
            if getattr(self, option) not in get_args(choices):
                raise ValueError(
                    f"{option} must be one of {', '.join(get_args(choices))}, got {getattr(self, option)!r}"
                )

    def splits(self) -> Splits[PairedTexts]:
        return Splits(*(self._pairs(part) for part in ("train", "val", self.test_set)))

    def _pairs(self, part: str) -> PairedTexts:
        names = [f"{part}.{language}" for language in self.direction.split("-")]
        sources, targets = (decoded(load(self.set_folder, FILES[name]), name).split("\n")[:-1] for name in names)
        return lines_as_pairs(sources, targets, names[0])
