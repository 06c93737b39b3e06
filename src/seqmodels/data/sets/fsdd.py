"""Free Spoken Digit Dataset: keyword spotting of English digits."""

import re
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.audio.preparation import AudioPreparation
from seqmodels.data.audio.recordings import Recordings, SoundFile, read_archive, sound_files
from seqmodels.data.formats.files import DataFile, load, locate
from seqmodels.data.raw import Splits
from seqmodels.data.source import PublishedSource
from seqmodels.errors import nearest

URL = "https://github.com/Jakobovski/free-spoken-digit-dataset"
NAME = re.compile(r"([0-9])_([a-z]+)_([0-9]+)\.wav")
TEST = 5  # recordings of each digit and speaker


@dataclass(kw_only=True)
class FSDDData(PublishedSource):
    """2000 recordings of the digits 0 to 9 by four speakers, 50 of each: 1620 train, 180 val, 200 test.

    Read from ``fsdd/fsdd-jackson-nicolas-theo-yweweler.tar.gz``, or from a folder ``fsdd/recordings`` of the published
    repository, which may have all six speakers.

    Args:
        test_speaker: test on all recordings of this speaker, and train on the others, instead of the published split,
            in which the first five recordings of each digit and speaker are the test.
        val_share: share of the training recordings held out as the val split, stratified by digit. With 0, nothing is
            held out, and the val split equals the train split.
        data_seed: seed of the draw.
    """

    name = "fsdd"
    target_kind = "classification"
    preparation = AudioPreparation
    folder = "fsdd"
    files = (
        DataFile(
            "fsdd-jackson-nicolas-theo-yweweler.tar",
            14499840,
            "6a46a55d5bf6d2e01bac70ef2d14643733942a8a223cae0f9be9baf022d8b762",
            (),
        ),
    )
    citation = "Z. Jackson et al. Jakobovski/free-spoken-digit-dataset v1.0.8. Zenodo, 2018"
    license = "CC BY-SA 4.0"

    test_speaker: str | None = None
    val_share: float = 0.1
    data_seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.val_share < 1:
            raise ValueError(f"val_share must lie in [0, 1), got {self.val_share}")

    def prepare(self) -> None:
        """Raise ``FileNotFoundError`` if the recordings are missing: they are not downloaded."""
        if locate(self.set_folder, self.files[0]) is None and not self._unpacked.is_dir():
            raise FileNotFoundError(
                f"{self.set_folder.absolute()} has neither {self.files[0].name}.gz nor the folder recordings: "
                f"put that folder of {URL} there"
            )

    def splits(self) -> Splits[Recordings]:
        every = self._recordings()
        named = [NAME.fullmatch(Path(file.place).name) for file in every.files]
        speakers = [match[2] if match else "" for match in named]
        if self.test_speaker is not None and self.test_speaker not in speakers:
            known = sorted(set(speakers))
            hint = nearest(self.test_speaker, known)
            raise ValueError(f"test_speaker={self.test_speaker}: there is no such speaker{hint} ({', '.join(known)})")
        tested = [
            int(match[3]) < TEST if self.test_speaker is None else match[2] == self.test_speaker
            for match in named
            if match
        ]
        whole, test = (
            every.take([row for row, is_test in enumerate(tested) if is_test is wanted]) for wanted in (False, True)
        )
        if not self.val_share:
            return Splits(whole, whole, test)
        train, val = whole.split((1 - self.val_share, self.val_share), self.data_seed)
        return Splits(train, val, test)

    @property
    def _unpacked(self) -> Path:
        return self.set_folder / "recordings"

    def _recordings(self) -> Recordings:
        """Return the recordings sorted by name, so that they are the same from an archive and a folder."""
        if self._unpacked.is_dir():
            files = [SoundFile(str(path)) for path in sound_files(self._unpacked)]
        else:
            archive = read_archive(load(self.set_folder, self.files[0]), self.files[0].name)
            files = [SoundFile(f"{self.files[0].name}/{name}", content) for name, content in archive.items()]
        files = sorted(files, key=lambda file: Path(file.place).name)
        matches = [NAME.fullmatch(Path(file.place).name) for file in files]
        for file, match in zip(files, matches, strict=True):
            if match is None:
                raise ValueError(f"{file.place}: its name must be DIGIT_SPEAKER_NUMBER.wav")
        return Recordings(files, [match[1] for match in matches if match], classes=True)
