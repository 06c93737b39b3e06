"""The CMU pronouncing dictionary: from the spelling of a word to its phonemes."""

import re
from dataclasses import dataclass

from seqmodels.data.formats.files import github_file, load
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.raw import Splits
from seqmodels.data.text.pairs.sources import PublishedPairs
from seqmodels.data.text.pairs.texts import PairedTexts

SHARES = (0.9, 0.05, 0.05)
DICTIONARY = github_file(
    "cmusphinx/cmudict",
    "cmudict.dict",
    "0f8072f814306c5ee4fbf992ed853601b12c01f9",
    3618488,
    "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
)


@dataclass(kw_only=True)
class CMUDictData(PublishedPairs):
    """About 126000 American English words with 135166 pronunciations; 90 % train, 5 % val, 5 % test, by word.

    All pronunciations of a word are in one split. In val and test, the one nearest to an output counts.

    Args:
        stress: whether vowels keep their stress, ``AH0 AH1 AH2``; published results are without it.
        data_seed: seed of the split.
    """

    name = "cmudict"
    folder = "cmudict"
    files = (DICTIONARY,)
    citation = (
        "Carnegie Mellon University. The CMU pronouncing dictionary. http://www.speech.cs.cmu.edu/cgi-bin/cmudict"
    )
    license = "BSD 2-clause"

    stress: bool = False
    data_seed: int = 0

    def splits(self) -> Splits[PairedTexts]:
        pairs = PairedTexts([], [], [], ("word", "phonemes"), "phonemes")
        lines = decoded(load(self.set_folder, DICTIONARY), DICTIONARY.name).splitlines()
        for number, line in enumerate(lines, start=1):
            word, _, phonemes = line.partition("#")[0].strip().partition(" ")
            pairs.sources.append(re.sub(r"\(\d+\)$", "", word))
            pairs.targets.append((phonemes if self.stress else re.sub(r"\d", "", phonemes),))
            pairs.places.append(f"{DICTIONARY.name}, line {number}")
        return Splits(*pairs.split(SHARES, self.data_seed))
