"""Batches of tagged sentences: words by number and by their characters, and a tag for each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.collate import pad
from seqmodels.data.loaders import Rows
from seqmodels.data.loading import Loading


class Words(NamedTuple):
    """The words of a batch of sentences. Each word form of the batch is spelled out once, however often it occurs."""

    tokens: Tensor  # (batch, time)  number in the vocabulary
    spelling: Tensor  # (batch, time)  row of letters
    letters: Tensor  # (spellings, characters)  number of each character, right-padded
    letter_lengths: Tensor  # (spellings,)  at least 1


class TagBatch(NamedTuple):
    """Right-padded sentences with a tag for each word."""

    inputs: Words
    lengths: Tensor  # (batch,)  number of words of each sentence, at least 1
    targets: Tensor  # (batch, time)  index of each tag


class TagDataset(Rows[TagBatch]):
    """Sentences of any lengths; padding is per batch.

    Args:
        tokens: per sentence ``(time_i,)`` numbers of its words.
        spelling: per sentence ``(time_i,)`` indices into ``letters``.
        letters: the characters of each word form, ``(length_i,)``.
        targets: per sentence ``(time_i,)`` indices of its tags.
        forms: the word forms as texts.

    Example:
        >>> letters = [torch.tensor([5, 6, 7]), torch.tensor([8])]
        >>> tokens, spelling, tags = torch.tensor([[2, 1], [0, 1], [3, 4]]).split(1)
        >>> rows = TagDataset(tokens, spelling, letters, tags, ["the", "."])
        >>> rows.words(0), rows[0].inputs.letters.tolist()
        (['the', '.'], [[5, 6, 7], [8, 0, 0]])
    """

    def __init__(
        self,
        tokens: Sequence[Tensor],
        spelling: Sequence[Tensor],
        letters: Sequence[Tensor],
        targets: Sequence[Tensor],
        forms: Sequence[str],
    ) -> None:
        self.tokens, self.spelling, self.letters, self.targets = map(list, (tokens, spelling, letters, targets))
        self.forms = list(forms)
        self.lengths = torch.tensor([len(row) for row in self.tokens], dtype=torch.long)

    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:  # noqa: ARG002
        if not len(self):
            raise ValueError(f"the {name} split is empty")
        if name == "train":
            loading.check_rows(len(self))

    def joined(self, others: Sequence["TagDataset"]) -> "TagDataset":
        parts = [self, *others]
        offsets = torch.tensor([0, *(len(part.letters) for part in parts)]).cumsum(0).tolist()
        return TagDataset(
            [row for part in parts for row in part.tokens],
            [row + offset for part, offset in zip(parts, offsets, strict=False) for row in part.spelling],
            [word for part in parts for word in part.letters],
            [row for part in parts for row in part.targets],
            [form for part in parts for form in part.forms],
        )

    def words(self, row: int) -> list[str]:
        """Return the words of a sentence."""
        return [self.forms[form] for form in self.spelling[row].tolist()]

    def __getitem__(self, row: int) -> TagBatch:
        """Return a sentence without padding or batch dimension."""
        words, lengths, targets = self.__getitems__([row])
        alone = words._replace(tokens=words.tokens[0], spelling=words.spelling[0])
        return TagBatch(alone, lengths[0], targets[0])

    def __getitems__(self, rows: list[int]) -> TagBatch:
        tokens, lengths = pad([self.tokens[row] for row in rows])
        forms, index = torch.cat([self.spelling[row] for row in rows]).unique(return_inverse=True)
        letters, letter_lengths = pad([self.letters[form] for form in forms.tolist()])
        spelling, _ = pad(index.split(lengths.tolist()))
        targets, _ = pad([self.targets[row] for row in rows])
        return TagBatch(Words(tokens, spelling, letters, letter_lengths), lengths, targets)
