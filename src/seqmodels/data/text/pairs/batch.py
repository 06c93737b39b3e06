"""Batches of pairs of token sequences."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.collate import pad
from seqmodels.data.loaders import Rows
from seqmodels.data.loading import Loading


class PairText(NamedTuple):
    """The texts that a row of a batch was made from."""

    source: str
    references: tuple[str, ...] = ()  # the outputs that are right; none in prediction
    row: int = 0  # of its split


class PairBatch(NamedTuple):
    """Right-padded source and target sequences.

    A target may hold a token of the source that is not in the vocabulary of targets, such as a name to copy: it is then
    ``target_vocab_size`` plus its number among such tokens of its source, in order of first occurrence.
    """

    inputs: Tensor  # (batch, time) tokens of the sources
    lengths: Tensor  # (batch,) number of real tokens of each source
    targets: Tensor  # (batch, steps) tokens of the targets, each with the end token
    target_lengths: Tensor  # (batch,) number of real tokens of each target, with the end token
    copies: Tensor  # (batch, time) what each source token is as a target token
    copy_size: int  # one more than the largest of these: a number of the host, so that a GPU need not be asked for it
    texts: list[PairText] = []  # noqa: RUF012  (never changed) one per row; empty in training


class Pair(NamedTuple):
    """Tokens of a pair."""

    source: list[int]
    copies: list[int]  # one per source token
    target: list[int]
    text: PairText


def collate_pairs(pairs: Sequence[Pair], *, texts: bool) -> PairBatch:
    """Pad pairs to a batch, with the texts that they were made from if ``texts``."""
    inputs, lengths = pad([torch.tensor(pair.source) for pair in pairs])
    targets, target_lengths = pad([torch.tensor(pair.target) for pair in pairs])
    copies, _ = pad([torch.tensor(pair.copies) for pair in pairs])
    shown = [pair.text for pair in pairs] if texts else []
    return PairBatch(inputs, lengths, targets, target_lengths, copies, int(copies.max()) + 1, shown)


class PairDataset(Rows[PairBatch]):
    """Pairs in memory.

    Args:
        pairs: the rows.
        texts: whether batches have the texts, which metrics of the output are computed from.
    """

    def __init__(self, pairs: Sequence[Pair], *, texts: bool) -> None:
        self.pairs = [pair._replace(text=pair.text._replace(row=row)) for row, pair in enumerate(pairs)]
        self.texts = texts
        self.lengths = torch.tensor([len(pair.source) for pair in pairs], dtype=torch.long)

    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:  # noqa: ARG002
        if not len(self):
            raise ValueError(f"the {name} split is empty")
        if name == "train":
            loading.check_rows(len(self))

    def joined(self, others: Sequence["PairDataset"]) -> "PairDataset":
        return PairDataset([pair for part in (self, *others) for pair in part.pairs], texts=self.texts)

    def __getitems__(self, rows: list[int]) -> PairBatch:
        return collate_pairs([self.pairs[row] for row in rows], texts=self.texts)
