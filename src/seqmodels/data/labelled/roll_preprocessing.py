"""Preprocessing of piano rolls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from seqmodels.data.formats.piano_roll import parse_piece
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.strict_json import parsed_json
from seqmodels.data.labelled.preprocessing import LabelledPreprocessing
from seqmodels.data.labelled.series_preprocessing import filled_field
from seqmodels.data.labelled.targets import TargetFields
from seqmodels.data.preprocessing import is_array, listed
from seqmodels.data.raw import LabelledSeries
from seqmodels.data.sequences import Sequences


@dataclass(kw_only=True)
class RollPreprocessing(LabelledPreprocessing):
    """A record's field ``frames`` as a piano roll: a list of frames, each a list of sounding MIDI numbers.

    As text, it is the same list in JSON, in the field ``frames`` or ``text``, so a file may have one piece per line.
    The targets of a piece are its own next frames.
    """

    def __post_init__(self) -> None:
        self.targets = TargetFields.of(["frames"])

    def scaled(self, series: Tensor) -> Tensor:
        return series.float()

    def fields_of(self, value: Any) -> Mapping[str, Any]:
        """Return the fields of a record for a list of frames, each a list of MIDI numbers."""
        return {"frames": listed(value)} if is_array(value) else super().fields_of(value)

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the roll of a record, ``(frames, 88)``."""
        field = filled_field(record, "frames")
        frames = record[field]
        if isinstance(frames, str):
            frames = parsed_json(frames, f"{field} ({frames!r:.60})")
        return parse_piece(frames, field)

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> Sequences:
        held = list(records)
        return self.dataset(next_frames(self.sequences(held), [record.place for record in held], tuple(class_names)))


def next_frames(pieces: list[Tensor], places: Sequence[str], class_names: tuple[str, ...]) -> LabelledSeries:
    """Return all but the last frame of each piece as series, all but the first as targets.

    Raises:
        ValueError: a piece has fewer than 2 frames; the message has its location.
    """
    for piece, place in zip(pieces, places, strict=True):
        if len(piece) < 2:
            raise ValueError(f"{place}: must have at least 2 frames, one to predict, got {len(piece)}")
    return LabelledSeries([piece[:-1] for piece in pieces], [piece[1:] for piece in pieces], class_names)
