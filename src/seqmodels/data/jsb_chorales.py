"""The chorales of J. S. Bach, harmonised in four voices: which notes come next?"""

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.files import DataFile, load, unpacked
from seqmodels.data.module import SPLITS, PublishedDataModule
from seqmodels.data.piano_roll import HIGHEST, KEYS, LOWEST, parse_rolls
from seqmodels.data.sequences import RaggedDataset
from seqmodels.data.strict_text import decoded

NAMES = {"validation": "val", "valid": "val"}  # what files call a split, where it is not what we call it
SHARES = (0.8, 0.1, 0.1)
PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class JSBChoralesData(PublishedDataModule):
    """382 chorales at a frame for each quarter note; 88 keys, several of which sound at once: 229, 76 and 77 pieces.

    Inputs are the frames of a piece but the last, targets the frames but the first: at every step, the keys of the next
    frame. The published splits are kept (Boulanger-Lewandowski et al., 2012). The usual figure is the negative
    log-likelihood of a frame, in nats: summed over the keys, a mean over all frames that are predicted (Bai et al.,
    2018, count that way: 4648 frames in the test split).

    Args:
        data_dir, download: as in :class:`PublishedDataModule`.
        path: a JSON file of one's own instead, see :func:`~seqmodels.data.piano_roll.parse_rolls`; with the splits
            ``train``, ``valid`` and ``test``, or a plain list of pieces, which is parted 80/10/10 by ``data_seed``.
        data_seed: of the parting of a file without splits.
    """

    name = "jsb_chorales"
    target_kind: ClassVar[TargetKind] = "multilabel"
    folder = "jsb-chorales"
    files = (
        DataFile(
            "jsb-chorales-quarter.json",
            407200,
            "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91",
            (
                "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/"
                "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d/jsb-chorales-quarter.json",
                "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/jsb-chorales-quarter.json",
            ),
        ),
    )
    citation = (
        "N. Boulanger-Lewandowski, Y. Bengio and P. Vincent. Modeling temporal dependencies in high-dimensional "
        "sequences: application to polyphonic music generation and transcription. ICML 2012. "
        "https://arxiv.org/abs/1206.6392"
    )
    license = "not stated; the music is in the public domain"

    def __init__(
        self,
        data_dir: str | Path,
        *,
        path: str | None = None,
        data_seed: int = 0,
        download: bool = False,
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
        bucketing: bool = False,
    ) -> None:
        super().__init__(
            data_dir,
            download=download,
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
            bucketing=bucketing,
        )
        self.own = None if path is None else Path(path)
        self.data_seed = data_seed

    @property
    def sizes(self) -> dict[str, int]:
        return {"input_size": KEYS, "output_size": KEYS}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the keys, ``A0`` to ``C8``."""
        return tuple(f"{PITCHES[note % 12]}{note // 12 - 1}" for note in range(LOWEST, HIGHEST + 1))

    @property
    def preprocessing(self) -> dict[str, Any]:
        return {"_target_": "seqmodels.data.RollPreprocessing"}

    def prepare_data(self) -> None:
        """Download what is missing, where that is allowed.

        Raises:
            FileNotFoundError: the file is missing.
        """
        if self.own is None:
            super().prepare_data()
        elif not self.own.is_file():
            raise FileNotFoundError(f"data.path={self.own}: there is no such file")

    def splits(self) -> dict[str, RaggedDataset]:
        content = unpacked(self.own) if self.own is not None else load(self.path, self.files[0])
        name = self.files[0].name if self.own is None else str(self.own)
        pieces = {NAMES.get(split, split): rolls for split, rolls in parse_rolls(decoded(content, name), name).items()}
        if set(pieces) == {""}:
            pieces = parted(pieces[""], self.data_seed)
        if missing := set(SPLITS) - set(pieces):
            there = ", ".join(pieces) or "none"
            lacking = ", ".join(sorted(missing))
            raise ValueError(f"{name}: must have the splits train, valid and test; {lacking} is missing (has: {there})")
        return {split: next_frames(pieces[split], f"{name}, {split}") for split in SPLITS}


def parted(pieces: list[Tensor], seed: int) -> dict[str, list[Tensor]]:
    """Part pieces 80/10/10, at random; every part has at least one where there are three or more."""
    order = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(seed)).tolist()
    held = [max(1, round(share * len(pieces))) for share in SHARES[1:]]
    ends = (held[0], held[0] + held[1])
    rows = {"val": order[: ends[0]], "test": order[ends[0] : ends[1]], "train": order[ends[1] :]}
    return {split: [pieces[row] for row in sorted(chosen)] for split, chosen in rows.items()}


def next_frames(pieces: list[Tensor], where: str) -> RaggedDataset:
    """Return all frames of each piece but the last as inputs, all but the first as targets."""
    for number, piece in enumerate(pieces, start=1):
        if len(piece) < 2:
            raise ValueError(f"{where}, piece {number}: must have at least 2 frames, one to predict, got {len(piece)}")
    return RaggedDataset([piece[:-1] for piece in pieces], [piece[1:] for piece in pieces])
