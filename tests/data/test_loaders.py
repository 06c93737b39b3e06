"""The order of the batches, and reading them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.collate import pad
from seqmodels.data.loaders import SequenceLoader
from seqmodels.data.sampling import BucketBatchSampler, EpochSampler
from seqmodels.data.sequences import RaggedDataset, SequenceDataset

ROWS = 23


def dataset() -> SequenceDataset:
    """Row i holds the number i, and has 1 + i % 5 steps."""
    lengths = torch.arange(ROWS) % 5 + 1
    inputs = torch.arange(ROWS).float()[:, None, None].expand(ROWS, 5, 2)
    return SequenceDataset(inputs, torch.arange(ROWS), lengths)


def loader(
    *, seed: int = 3, shuffle: bool = True, drop_last: bool = False, num_workers: int = 0, bucketing: bool = False
) -> SequenceLoader[SequenceBatch]:
    order = EpochSampler(ROWS, seed=seed, shuffle=shuffle)
    by_length = BucketBatchSampler(order, dataset().lengths, 5, drop_last) if bucketing else None
    return SequenceLoader(dataset(), by_length or BatchSampler(order, 5, drop_last), num_workers=num_workers)


def seen(batches: SequenceLoader[SequenceBatch]) -> list[int]:
    return [row for batch in batches for row in batch.targets.tolist()]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    one, other = loader(), loader()
    first, second = seen(one), seen(one)
    torch.randn(7)  # the global random state has no part in it
    assert seen(other) == first
    assert first != second
    order = other.batch_sampler.sampler
    assert isinstance(order, EpochSampler)
    order.set_epoch(1)
    assert seen(other) == second
    assert seen(loader(seed=4)) != first


def test_an_epoch_has_every_row_once() -> None:
    assert sorted(seen(loader())) == list(range(ROWS))
    assert seen(loader(shuffle=False)) == list(range(ROWS))
    assert len(seen(loader(drop_last=True))) == 20
    assert (len(loader()), len(loader(drop_last=True))) == (5, 4)


@pytest.mark.parametrize("bucketing", [False, True])
def test_worker_processes_change_nothing(bucketing: bool) -> None:
    here, there = (loader(num_workers=workers, bucketing=bucketing) for workers in (0, 2))
    for _ in range(2):
        assert seen(there) == seen(here)


def test_loading_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    seen(loader())
    assert torch.equal(torch.get_rng_state(), before)


@given(size=st.integers(1, 40), world_size=st.integers(1, 7), shuffle=st.booleans())
def test_processes_share_an_epoch(size: int, world_size: int, shuffle: bool) -> None:
    orders = [
        EpochSampler(size, seed=1, shuffle=shuffle, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
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


def test_batches_by_length_have_every_row_once_and_little_padding() -> None:
    lengths = torch.tensor([(row * 37) % 91 + 1 for row in range(101)])
    batches = BucketBatchSampler(EpochSampler(101, seed=3, shuffle=True), lengths, 7, drop_last=False)
    epoch, next_epoch = list(batches), list(batches)
    for order in (epoch, next_epoch):
        assert len(order) == len(batches) == 15
        assert sorted(row for rows in order for row in rows) == list(range(101))
        assert sum(int(lengths[rows].max() - lengths[rows].min()) for rows in order) < 15 * 10
    assert epoch != next_epoch
    assert epoch != sorted(epoch, key=lambda rows: -int(lengths[rows].max()))  # long ones do not all come first
    again = BucketBatchSampler(EpochSampler(101, seed=3, shuffle=True), lengths, 7, drop_last=False)
    again.sampler.set_epoch(1)
    assert list(again) == next_epoch


def test_batches_by_length_may_leave_out_the_one_that_is_not_full() -> None:
    batches = BucketBatchSampler(EpochSampler(23, seed=1, shuffle=True), torch.arange(23) + 1, 5, drop_last=True)
    assert [len(rows) for rows in batches] == [5] * len(batches) == [5] * 4


def test_a_ragged_set_gives_the_same_batches_as_a_padded_one() -> None:
    sequences = [dataset()[row].inputs for row in range(ROWS)]
    inputs, lengths = pad(sequences)
    padded, ragged = (
        SequenceDataset(inputs, torch.arange(ROWS), lengths),
        RaggedDataset(sequences, torch.arange(ROWS)),
    )
    for rows in ([7, 0, 11], [4]):
        for one, other in zip(padded.__getitems__(rows), ragged.__getitems__(rows), strict=True):
            assert torch.equal(one, other)


def test_targets_of_every_step_are_padded_as_the_steps_are() -> None:
    tokens = [torch.arange(size) + 10 * size for size in (3, 1, 2)]
    batch = RaggedDataset(tokens, [steps + 1 for steps in tokens]).__getitems__([2, 0])
    assert batch.inputs.tolist() == [[20, 21, 0], [30, 31, 32]]
    assert batch.targets.tolist() == [[21, 22, 0], [31, 32, 33]]


@pytest.mark.parametrize(
    ("sequences", "targets", "reason"),
    [
        ([torch.zeros(2, 3), torch.zeros(0, 3)], torch.zeros(2), "row 1: a sequence must have at least one step"),
        ([torch.zeros(2, 3), torch.zeros(2, 4)], torch.zeros(2), r"row 1: its steps are \(4,\)"),
        ([torch.zeros(2, 3)], torch.zeros(2), "one entry for each of 1 rows, got 2"),
        ([torch.zeros(2, 3)], [torch.zeros(3)], "row 0: 3 targets for 2 steps"),
    ],
)
def test_sequences_that_do_not_fit_are_refused_by_row(sequences: list, targets: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        RaggedDataset(sequences, targets)  # type: ignore[arg-type]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("bucketing", [False, True])
def test_a_loader_goes_on_in_the_middle_of_an_epoch(bucketing: bool, num_workers: int) -> None:
    whole, broken = (loader(bucketing=bucketing) for _ in range(2))
    resumed = loader(bucketing=bucketing, num_workers=num_workers)
    expected = [seen(whole), seen(whole)]
    batches = iter(broken)
    before = [row for _ in range(2) for row in next(batches).targets.tolist()]
    resumed.load_state_dict(broken.state_dict())
    assert [before + seen(resumed), seen(resumed)] == expected
