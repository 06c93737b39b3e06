"""Japanese vowels: speaker identification from short series of unequal lengths."""

from seqmodels.data.formats.archives.cases import SeriesFile
from seqmodels.data.formats.archives.ts import parse_ts
from seqmodels.data.formats.files import load
from seqmodels.data.labelled.archive_source import ArchiveSource, archive_file


class JapaneseVowelsData(ArchiveSource):
    """640 utterances of two vowels by 9 men: 7 to 29 steps of 12 LPC cepstrum coefficients; the class is the speaker.

    270 rows for training (and validation), 370 for test, as published.
    """

    name = "japanese_vowels"
    folder = "ucr-uea/JapaneseVowels"
    files = (
        archive_file(
            "JapaneseVowels", "TRAIN", 487971, "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd"
        ),
        archive_file(
            "JapaneseVowels", "TEST", 649132, "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462"
        ),
    )
    citation = (
        "M. Kudo, J. Toyama and M. Shimbo. Multidimensional curve classification using passing-through regions. "
        "Pattern Recognition Letters 20 (11-13), 1999, as in the UEA archive (https://arxiv.org/abs/1811.00075)"
    )
    license = "CC BY 4.0 (UCI Machine Learning Repository)"

    def read(self, part: str) -> SeriesFile:
        (file,) = (file for file in self.files if file.name.endswith(f"_{part}.ts"))
        return parse_ts(load(self.set_folder, file).decode("ascii"), file.name, missing=self.missing)
