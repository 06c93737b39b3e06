"""The order of the batches, and reading them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.loading import EpochOrder, SequenceLoader
from seqmodels.data.sequences import SequenceDataset

ROWS = 23


def dataset() -> SequenceDataset:
    """Row i holds the number i, and has 1 + i % 5 steps."""
    lengths = torch.arange(ROWS) % 5 + 1
    inputs = torch.arange(ROWS).float()[:, None, None].expand(ROWS, 5, 2)
    return SequenceDataset(inputs, torch.arange(ROWS), lengths)


def loader(
    *, seed: int = 3, shuffle: bool = True, drop_last: bool = False, num_workers: int = 0
) -> SequenceLoader[SequenceBatch]:
    order = EpochOrder(ROWS, seed=seed, shuffle=shuffle)
    return SequenceLoader(dataset(), order, batch_size=5, drop_last=drop_last, num_workers=num_workers)


def seen(batches: SequenceLoader[SequenceBatch]) -> list[int]:
    return [row for batch in batches for row in batch.targets.tolist()]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    one, other = loader(), loader()
    first, second = seen(one), seen(one)
    torch.randn(7)  # the global random state has no part in it
    assert seen(other) == first
    assert first != second
    order = other.batch_sampler.sampler
    assert isinstance(order, EpochOrder)
    order.set_epoch(1)
    assert seen(other) == second
    assert seen(loader(seed=4)) != first


def test_an_epoch_has_every_row_once() -> None:
    assert sorted(seen(loader())) == list(range(ROWS))
    assert seen(loader(shuffle=False)) == list(range(ROWS))
    assert len(seen(loader(drop_last=True))) == 20
    assert (len(loader()), len(loader(drop_last=True))) == (5, 4)


def test_worker_processes_change_nothing() -> None:
    here, there = loader(), loader(num_workers=2)
    for _ in range(2):
        assert seen(there) == seen(here)


def test_loading_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    seen(loader())
    assert torch.equal(torch.get_rng_state(), before)


@given(size=st.integers(1, 40), world_size=st.integers(1, 7), shuffle=st.booleans())
def test_processes_share_an_epoch(size: int, world_size: int, shuffle: bool) -> None:
    orders = [EpochOrder(size, seed=1, shuffle=shuffle, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [list(order) for order in orders]
    assert [len(order) for order in orders] == [len(share) for share in shares]
    rows = [row for share in shares for row in share]
    if shuffle:  # all take equally many steps, and all rows are seen
        assert len({len(share) for share in shares}) == 1
        assert set(rows) == set(range(size))
    else:  # no row counts twice
        assert sorted(rows) == list(range(size))


def test_a_batch_is_its_rows_padded_to_the_longest_of_them() -> None:
    batch = dataset().__getitems__([7, 0, 11])
    assert batch.lengths.tolist() == [3, 1, 2]
    assert batch.inputs.shape == (3, 3, 2)
    assert batch.inputs[:, 0, 0].tolist() == [7, 0, 11]
    row = dataset()[7]
    assert (row.inputs.shape, int(row.lengths), int(row.targets)) == ((3, 2), 3, 7)


@pytest.mark.parametrize(
    ("lengths", "reason"),
    [([3, 0, 2], "row 1: a length must be 1 to 3, got 0"), ([3, 2, 4], "row 2: .*got 4"), ([1, 2], "3 rows")],
)
def test_lengths_that_cannot_be_are_refused_by_row(lengths: list[int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        SequenceDataset(torch.zeros(3, 3, 2), torch.zeros(3), torch.tensor(lengths))


def test_inputs_without_a_time_are_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs must have shape \(rows, time, input\), got \(3, 4\)"):
        SequenceDataset(torch.zeros(3, 4), torch.zeros(3))
