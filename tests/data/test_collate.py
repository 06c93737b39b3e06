"""Padding."""

import pytest
import torch

from seqmodels.data import pad


def test_sequences_are_padded_at_their_ends() -> None:
    padded, lengths = pad([torch.ones(2, 3), torch.ones(4, 3), torch.ones(1, 3)])
    assert padded.shape == (3, 4, 3)
    assert lengths.tolist() == [2, 4, 1]
    assert padded.sum((1, 2)).tolist() == [6, 12, 3]
    assert (padded[0, :2] == 1).all()
    assert (padded[0, 2:] == 0).all()


@pytest.mark.parametrize(
    ("sequences", "reason"),
    [
        ([], "at least one sequence"),
        ([torch.ones(2, 3), torch.ones(0, 3)], "row 1: a sequence must have at least one step"),
        ([torch.ones(2, 3), torch.ones(2, 4)], r"row 1: its steps are \(4,\)"),
        ([torch.ones(2), torch.ones(2).long()], "row 1: .*int64"),
    ],
)
def test_what_cannot_be_padded_is_refused_by_row(sequences: list[torch.Tensor], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        pad(sequences)
