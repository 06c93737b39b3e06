"""Preprocessing of piano rolls."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from seqmodels.data.formats.piano_roll import parse_piece
from seqmodels.data.formats.strict_json import parsed_json
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.series.preprocessing import filled_field


class RollPreprocessing(Preprocessing):
    """A record's field ``frames`` as a piano roll: a list of frames, each a list of sounding MIDI numbers.

    As text, it is the same list in JSON, in the field ``frames`` or ``text``, so a file may have one piece per line.
    """

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the roll of a record, ``(frames, 88)``."""
        field = filled_field(record, "frames")
        frames = record[field]
        if isinstance(frames, str):
            frames = parsed_json(frames, f"{field} ({frames!r:.60})")
        return parse_piece(frames, field)
