"""Stratified splits."""

import pytest
import torch

from seqmodels.data.splitting import split_stratified

LABELS = torch.tensor([0] * 50 + [1] * 30 + [2] * 7)


def test_parts_are_disjoint_and_together_everything() -> None:
    parts = split_stratified(LABELS, (0.6, 0.1, 0.3), seed=5)
    assert torch.cat(parts).sort().values.tolist() == list(range(len(LABELS)))


def test_every_class_has_its_share_in_every_part() -> None:
    parts = split_stratified(LABELS, (0.6, 0.1, 0.3), seed=5)
    assert [LABELS[part].bincount(minlength=3).tolist() for part in parts] == [[30, 18, 4], [5, 3, 1], [15, 9, 2]]


def test_the_seed_alone_decides() -> None:
    first, again, other = (split_stratified(LABELS, (0.5, 0.5), seed=seed)[0].tolist() for seed in (5, 5, 6))
    assert first == again != other


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.2, -0.2), (1.0, 0.0)])
def test_shares_that_do_not_part_a_whole_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        split_stratified(LABELS, shares, seed=5)
