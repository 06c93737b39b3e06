"""Your own recordings with a table of transcripts."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.audio.preparation import SpeechPreparation
from seqmodels.data.audio.recordings import Recordings, SoundFile
from seqmodels.data.formats.files import whole_content
from seqmodels.data.formats.records import read_records, readable
from seqmodels.data.formats.suffixes import format_of
from seqmodels.data.own_files import OwnFiles
from seqmodels.errors import nearest


@dataclass(kw_only=True)
class AudioTranscriptsData(OwnFiles):
    """A table with a row for each recording: its file, and what is said in it. Splits as for all own files.

    The table is CSV, TSV, JSON lines or Parquet.

    Args:
        file: column of the files.
        text: column of the transcripts.
        audio_dir: where the paths of files start; None: the folder of their table.
    """

    name = "audio_transcripts"
    target_kind = "ctc"
    preparation = SpeechPreparation

    file: str = "file"
    text: str = "text"
    audio_dir: str | Path | None = None

    def read(self, paths: Sequence[Path]) -> list[Recordings]:
        return [self._recordings(path) for path in paths]

    def _recordings(self, path: Path) -> Recordings:
        folder = path.parent if self.audio_dir is None else Path(self.audio_dir)
        files, texts = [], []
        content = whole_content(path)
        for record in readable(read_records(io.BytesIO(content), str(path), format_of(str(path), None))):
            for column in (self.file, self.text):
                if column not in record.fields:
                    there = ", ".join(record.fields)
                    hint = nearest(column, record.fields)
                    raise ValueError(f"{record.place} has no column {column!r}{hint} (it has: {there})")
            name, text = (str(record.fields[column] or "").strip() for column in (self.file, self.text))
            if not name:
                raise ValueError(f"{record.place}: the column {self.file} names no file")
            if not text:
                raise ValueError(f"{record.place}: there is no transcript of {folder / name}")
            files.append(SoundFile(str(folder / name)))
            texts.append(text)
        if not files:
            raise ValueError(f"{path} has no rows")
        return Recordings(files, texts, classes=False, label=self.text, file=self.file)
