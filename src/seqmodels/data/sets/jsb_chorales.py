"""Four-part chorales by J. S. Bach: predict the next notes."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from seqmodels.data.formats.files import github_file, load, unpacked
from seqmodels.data.formats.piano_roll import HIGHEST, LOWEST, parse_rolls
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.labelled.roll_preprocessing import RollPreprocessing, next_frames
from seqmodels.data.labelled.series_preparation import SeriesPreparation
from seqmodels.data.raw import LabelledSeries, Splits
from seqmodels.data.source import PublishedSource
from seqmodels.data.splitting import split_random

NAMES = {"validation": "val", "valid": "val"}  # split names in files that differ from ours
PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
KEY_NAMES = tuple(f"{PITCHES[note % 12]}{note // 12 - 1}" for note in range(LOWEST, HIGHEST + 1))  # A0 to C8


@dataclass(kw_only=True)
class RollPreparation(SeriesPreparation):
    """Frames of 0/1 keys, unscaled."""

    def fit(self, train: LabelledSeries) -> RollPreprocessing:  # noqa: ARG002
        return RollPreprocessing()


@dataclass(kw_only=True)
class JSBChoralesData(PublishedSource):
    """382 chorales, one frame per quarter note, 88 keys of which several sound at once: 229, 76 and 77 pieces.

    Inputs are all frames of a piece but the last, targets all but the first: at every step, the keys of the next frame.
    The published splits are kept (Boulanger-Lewandowski et al., 2012). The usual metric is the negative log-likelihood
    per frame in nats, summed over keys and averaged over all predicted frames (as in Bai et al., 2018: 4648 frames in
    the test split).

    Args:
        path: your own JSON file instead, see :func:`~seqmodels.data.formats.piano_roll.parse_rolls`: splits ``train``,
            ``valid`` and ``test``, or a plain list of pieces, which is split 80/10/10.
        data_seed: seed for splitting a plain list.
    """

    name = "jsb_chorales"
    target_kind = "multilabel"
    folder = "jsb-chorales"
    files = (
        github_file(
            "czhuang/JSB-Chorales-dataset",
            "jsb-chorales-quarter.json",
            "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d",
            407200,
            "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91",
        ),
    )
    citation = (
        "N. Boulanger-Lewandowski, Y. Bengio and P. Vincent. Modeling temporal dependencies in high-dimensional "
        "sequences: application to polyphonic music generation and transcription. ICML 2012. "
        "https://arxiv.org/abs/1206.6392"
    )
    license = "not stated; the music is in the public domain"
    preparation = RollPreparation

    path: str | None = None
    data_seed: int = 0

    def prepare(self) -> None:
        if self.path is None:
            super().prepare()
        elif not Path(self.path).is_file():
            raise FileNotFoundError(f"data.path={self.path}: there is no such file")

    def splits(self) -> Splits[LabelledSeries]:
        (file,) = self.files
        content = unpacked(Path(self.path)) if self.path is not None else load(self.set_folder, file)
        name = file.name if self.path is None else self.path
        pieces = {NAMES.get(split, split): rolls for split, rolls in parse_rolls(decoded(content, name), name).items()}
        if set(pieces) == {""}:
            pieces = _drawn(pieces[""], self.data_seed)
        if missing := {"train", "val", "test"} - set(pieces):
            there = ", ".join(pieces) or "none"
            lacking = ", ".join(sorted(missing))
            raise ValueError(f"{name}: must have the splits train, valid and test; {lacking} is missing (has: {there})")
        return Splits(*(_labelled(pieces[split], f"{name}, {split}") for split in Splits._fields))


def _labelled(pieces: list[Tensor], where: str) -> LabelledSeries:
    return next_frames(pieces, [f"{where}, piece {number}" for number in range(1, len(pieces) + 1)], KEY_NAMES)


def _drawn(pieces: list[Tensor], seed: int) -> dict[str, list[Tensor]]:
    """Randomly split pieces 80/10/10; with three or more pieces, no split is empty."""
    held = max(1, round(0.1 * len(pieces)))
    parts = zip(("val", "test", "train"), split_random(len(pieces), (held, held), seed), strict=True)
    return {split: [pieces[row] for row in sorted(rows)] for split, rows in parts}
