"""OpenSLR 1: one speaker says eight times yes or no, in Hebrew."""

import re
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.audio.preparation import SpeechPreparation
from seqmodels.data.audio.recordings import Recordings, SoundFile, read_archive
from seqmodels.data.formats.files import DataFile, load
from seqmodels.data.raw import Splits
from seqmodels.data.source import PublishedSource

URL = "https://www.openslr.org/resources/1/waves_yesno.tar.gz"
NAME = re.compile(r"([01])(_[01]){7}\.wav")
TEST = 30  # the last recordings


@dataclass(kw_only=True)
class YesNoData(PublishedSource):
    """60 recordings of eight words, ``yes`` or ``no``, at 8000 Hz: 24 train, 6 val, 30 test.

    Sorted by name, which is the transcript, the last 30 are the test. Read from ``yesno/waves_yesno.tar.gz``. Two
    archives are accepted: that of OpenSLR, by its published sha256 ``c3f49e0c...``, and one that was packed from the
    recordings of ``github.com/keighrim/kaldi-yesno-tutorial`` at f4e2910, by the sha256 ``a790a0fe...`` of its content.

    Args:
        val_share: share of the first 30 recordings held out as the val split. With 0, nothing is held out, and the val
            split equals the train split.
        data_seed: seed of the draw.
    """

    name = "yesno"
    target_kind = "ctc"
    preparation = SpeechPreparation
    folder = "yesno"
    files = (
        DataFile(
            "waves_yesno.tar",
            5939200,
            "a790a0fea11639edd5fbbcf22c9a89cc15f7b120246ace56da872f9b349a568d",
            (URL,),
            packed_sha256="c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
        ),
    )
    citation = "OpenSLR 1. Sixty recordings of one individual saying yes or no in Hebrew"
    license = "free"

    val_share: float = 0.2
    data_seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.val_share < 1:
            raise ValueError(f"val_share must lie in [0, 1), got {self.val_share}")

    def splits(self) -> Splits[Recordings]:
        archive = read_archive(load(self.set_folder, self.files[0]), self.files[0].name)
        names = sorted(name for name in archive if NAME.fullmatch(name))
        if len(names) != 2 * TEST:
            raise ValueError(f"{self.files[0].name} must have {2 * TEST} recordings, got {len(names)}")
        files = [SoundFile(f"{self.files[0].name}/{name}", archive[name]) for name in names]
        texts = [" ".join("yes" if bit == "1" else "no" for bit in Path(name).stem.split("_")) for name in names]
        every = Recordings(files, texts, classes=False, label="text")
        first, test = every.take(range(TEST)), every.take(range(TEST, len(names)))
        if not self.val_share:
            return Splits(first, first, test)
        train, val = first.split((1 - self.val_share, self.val_share), self.data_seed)
        return Splits(train, val, test)
