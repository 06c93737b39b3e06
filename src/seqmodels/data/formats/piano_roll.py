"""Piano rolls in JSON: the keys sounding at each frame of a piece."""

from typing import Any

import torch
from torch import Tensor

from seqmodels.data.formats.strict_json import parsed_json

LOWEST, HIGHEST = 21, 108  # MIDI numbers of a piano's keys
KEYS = HIGHEST - LOWEST + 1
SILENCE = -1  # a silent voice, in files with one number per voice


def parse_rolls(text: str, name: str) -> dict[str, list[Tensor]]:
    """Return the pieces of each split in a JSON file, each as 0/1 floats ``(frames, 88)``.

    The file is an object mapping each split to a list of pieces; a piece is a list of frames, a frame the list of the
    sounding MIDI numbers, 21 to 108 (-1: a silent voice). A plain list of pieces is returned under ``""``.

    Raises:
        ValueError: the text has another form; the message names split, piece and frame, counted from 1.
    """
    content = parsed_json(text, name)
    if isinstance(content, list):
        content = {"": content}
    if not isinstance(content, dict) or not all(isinstance(pieces, list) for pieces in content.values()):
        raise ValueError(f"{name}: must hold a list of pieces, or such a list for each split")
    return {
        split: [
            parse_piece(piece, f"{name}, {f'{split}, ' if split else ''}piece {number}")
            for number, piece in enumerate(pieces, 1)
        ]
        for split, pieces in content.items()
    }


def parse_piece(piece: Any, where: str) -> Tensor:
    if not isinstance(piece, list) or not piece:
        raise ValueError(f"{where}: must be a list of at least one frame, got {piece!r:.60}")
    roll = torch.zeros(len(piece), KEYS)
    for number, frame in enumerate(piece, start=1):
        keys = [_key(note, f"{where}, frame {number}") for note in frame] if isinstance(frame, list) else None
        if keys is None:
            raise ValueError(f"{where}, frame {number}: must be a list of MIDI numbers, got {frame!r:.60}")
        roll[number - 1, [key for key in keys if key is not None]] = 1
    return roll


def _key(note: Any, where: str) -> int | None:
    """Return the key index of a note, or None for silence."""
    if note == SILENCE:
        return None
    is_number = isinstance(note, int | float) and not isinstance(note, bool)  # 60.0 counts as an integer as well
    if not is_number or not LOWEST <= note <= HIGHEST or note % 1:
        raise ValueError(f"{where}: a note must be a MIDI number in {LOWEST} to {HIGHEST}, got {note!r}")
    return int(note) - LOWEST
