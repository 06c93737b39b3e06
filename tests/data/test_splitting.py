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


MANY = {
    "a tail of classes with three rows": [0] * 100 + [1 + row // 3 for row in range(600)],
    "seven rows of each of 150 classes": [row // 7 for row in range(1050)],
    "fourteen rows of each of 50 classes": [row // 14 for row in range(700)],
    "pairs": [row // 2 for row in range(90)],
    "two classes and many with one row": [0] * 150 + [1] * 150 + list(range(2, 103)),
    "three rows of each of four classes": [row // 3 for row in range(12)],
}


@pytest.mark.parametrize("labels", MANY.values(), ids=MANY)
@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.7, 0.1, 0.2), (0.9, 0.1)])
def test_every_part_has_its_share_of_the_rows_however_small_the_classes(
    labels: list[int], shares: tuple[float, ...]
) -> None:
    for seed in (0, 7):
        parts = split_stratified(torch.tensor(labels), shares, seed)
        assert torch.cat(parts).sort().values.tolist() == list(range(len(labels)))
        for part, share in zip(parts, shares, strict=True):
            assert abs(len(part) - share * len(labels)) < 1 + 1e-9
        assert torch.tensor(labels)[parts[0]].unique().tolist() == sorted(set(labels))


def test_a_class_differs_from_its_share_by_at_most_a_row_and_which_classes_are_missing_depends_on_the_seed() -> None:
    labels = torch.tensor(MANY["a tail of classes with three rows"])
    shares, missing = (0.8, 0.1, 0.1), set()
    for seed in range(5):
        parts = split_stratified(labels, shares, seed)
        counts = torch.stack([labels[part].bincount(minlength=201) for part in parts], dim=1)
        assert ((counts - torch.tensor(shares) * labels.bincount()[:, None]).abs() < 1).all()
        assert counts[0].tolist() == [80, 10, 10]
        missing.add(tuple((counts[:, 1] == 0).tolist()))
    assert len(missing) == 5


def test_a_class_with_one_row_is_in_the_first_part_and_the_others_keep_half_their_share_of_it() -> None:
    labels = torch.tensor([0] * 50 + [1] * 50 + list(range(2, 902)))
    first, second, third = (labels[part] for part in split_stratified(labels, (0.8, 0.1, 0.1), seed=5))
    assert first.unique().tolist() == labels.unique().tolist()
    assert first.bincount()[:2].tolist() == [20, 20]
    assert len(second) == len(third) == 30


def test_a_class_for_almost_every_row_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"there are 9 classes for 10 rows, .* the right column \(data\.label\)"):
        split_stratified(torch.tensor([*range(9), 8]), (0.8, 0.1, 0.1), seed=5)


def test_too_few_rows_of_one_class_are_not_blamed_on_the_label() -> None:
    assert sum(map(len, split_stratified(torch.zeros(3), (0.8, 0.1, 0.1), seed=5))) == 3


def test_no_part_is_empty_if_there_are_rows_for_it() -> None:
    assert [len(part) for part in split_stratified(torch.tensor([0, 0, 1, 1]), (0.8, 0.1, 0.1), seed=5)] == [2, 1, 1]


def test_the_seed_alone_decides() -> None:
    first, again, other = (split_stratified(LABELS, (0.5, 0.5), seed=seed)[0].tolist() for seed in (5, 5, 6))
    assert first == again != other


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.2, -0.2), (1.0, 0.0)])
def test_shares_that_do_not_part_a_whole_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        split_stratified(LABELS, shares, seed=5)
