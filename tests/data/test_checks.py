"""A split that cannot be trained on is refused by its row, whatever its targets are."""

import pytest
import torch

from seqmodels.data.batch import TargetKind
from seqmodels.data.checks import check_split
from seqmodels.data.sequences import RaggedDataset, Sequences

NUMBERS = [torch.zeros(3, 2), torch.zeros(1, 2), torch.zeros(4, 2)]
TOKENS = [torch.tensor([1, 2, 3]), torch.tensor([4]), torch.tensor([5, 6, 9, 0])]
CLASSES = torch.tensor([0, 1, 1, 0])
LABELS = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])


def every_step(value: float) -> list[torch.Tensor]:
    """Labels 0 at all eight steps of the three rows, but for one of the last row."""
    labels = [torch.zeros(size, 2) for size in (3, 1, 4)]
    labels[2][1, 0] = value
    return labels


@pytest.mark.parametrize(
    ("split", "kind", "reason"),
    [
        (
            RaggedDataset(NUMBERS, LABELS * 2),
            "multilabel",
            r"val split, row 0: a label must be 0 or 1, got \[0.0, 2.0\]",
        ),
        (RaggedDataset(NUMBERS, every_step(0.5)), "multilabel", r"row 2: a label must be 0 or 1, got \[0.5, 0.0\]"),
        (RaggedDataset(NUMBERS, every_step(torch.nan)), "regression", r"row 2: a target must be finite"),
        (RaggedDataset(NUMBERS, LABELS.long()), "multilabel", r"labels must be floats \(rows, 2\), got torch.int64"),
        (RaggedDataset(TOKENS, torch.tensor([0, 1, 2])), "classification", "row 2: a class must be 0 to 1, got 2"),
        (
            RaggedDataset([*TOKENS, torch.tensor([-1])], torch.zeros(4).long()),
            "classification",
            "row 3: a token must be 0",
        ),
        (
            RaggedDataset([*NUMBERS, torch.tensor([[0, torch.inf]])], torch.zeros(4).long()),
            "classification",
            "row 3: an input",
        ),
    ],
)
def test_what_is_wrong_is_named_by_row(split: Sequences, kind: TargetKind, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_split("val", split, kind, {"output_size": 2, "vocab_size": 10})


def test_a_token_beyond_the_vocabulary_is_refused() -> None:
    split = RaggedDataset(TOKENS, torch.zeros(3).long())
    check_split("val", split, "classification", {"output_size": 2, "vocab_size": 10})
    with pytest.raises(ValueError, match="the val split, row 2: a token must be 0 to 8"):
        check_split("val", split, "classification", {"output_size": 2, "vocab_size": 9})


def test_a_single_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the data have one class, .* check which column or file holds the labels"):
        check_split("val", RaggedDataset(TOKENS, torch.zeros(3).long()), "classification", {"output_size": 1})
