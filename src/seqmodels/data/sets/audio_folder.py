"""Your own recordings in one folder per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.audio.preparation import AudioPreparation
from seqmodels.data.audio.recordings import Recordings, SoundFile, sound_files
from seqmodels.data.own_files import OwnFiles


@dataclass(kw_only=True)
class AudioFolderData(OwnFiles):
    """WAV, FLAC, Ogg or MP3 files in one folder per class, ``yes/1.wav``; splits as for all own files."""

    name = "audio_folder"
    target_kind = "classification"
    preparation = AudioPreparation

    def read(self, paths: Sequence[Path]) -> list[Recordings]:
        return [self._recordings(path) for path in paths]

    def _recordings(self, path: Path) -> Recordings:
        files = [file for file in sound_files(path) if file.parent != path]
        labels = [file.parent.name for file in files]
        for file in files:
            if not file.parent.name.isprintable():
                raise ValueError(f"{str(file.parent)!r}: the name of a folder is a label, and must be printable")
        if len(set(labels)) < 2 and path == Path(self.path):
            raise ValueError(f"{path} must hold at least two folders with sound files, one for each class")
        return Recordings([SoundFile(str(file)) for file in files], labels, classes=True)
