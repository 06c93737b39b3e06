"""Augmentations of series: what each changes, what none touches."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from seqmodels.data import AddingData, CopyMemoryData, DataModule, RaggedDataset, SequenceBatch
from seqmodels.data.series.augmentation import Jitter, Scale, SeriesAugmentation, TimeMask, TimeWarp
from tests.datasets import data_of, ready

ALL: dict[str, Callable[[], SeriesAugmentation]] = {
    "jitter": Jitter,
    "scale": Scale,
    "time_warp": TimeWarp,
    "time_mask": lambda: TimeMask(share=0.6, spans=2),
}
LENGTHS = torch.tensor([11, 1, 2, 7])


def batch(rows: int = 4, *, fill: float = 99.0) -> SequenceBatch:
    """Four series of 11, 1, 2 and 7 steps, padded with something that must not be seen."""
    inputs = torch.randn(rows, 11, 3, generator=Generator().manual_seed(5))
    lengths = LENGTHS[:rows]
    padding = torch.arange(11) >= lengths[:, None]
    return SequenceBatch(inputs.masked_fill(padding[..., None], fill), lengths, torch.arange(rows))


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ALL)
def test_inputs_change_and_lengths_targets_and_padding_do_not(name: str) -> None:
    before = batch()
    after = ALL[name]()(before, generator(1))
    assert after.inputs.shape == before.inputs.shape
    assert after.inputs.dtype == before.inputs.dtype
    assert after.lengths is before.lengths
    assert after.targets is before.targets
    padding = torch.arange(11) >= LENGTHS[:, None]
    assert (after.inputs[padding] == 99).all()
    assert not torch.equal(after.inputs, before.inputs)
    assert torch.equal(before.inputs, batch().inputs), "the rows of the data set stay as they are"


@pytest.mark.parametrize("name", ALL)
def test_real_steps_do_not_depend_on_what_the_padding_is(name: str) -> None:
    real = torch.arange(11) < LENGTHS[:, None]
    one, other = (ALL[name]()(batch(fill=fill), generator()).inputs for fill in (0.0, 1e6))
    assert torch.equal(one[real], other[real])


@pytest.mark.parametrize("name", ALL)
def test_the_generator_decides_all_of_it(name: str) -> None:
    augment = ALL[name]()
    first = augment(batch(), generator()).inputs
    torch.randn(3)
    assert torch.equal(augment(batch(), generator()).inputs, first)
    assert not torch.equal(augment(batch(), generator(2)).inputs, first)


def test_jitter_is_noise_of_its_deviation_at_every_number() -> None:
    x = torch.zeros(50, 40, 3)
    noise = Jitter(deviation=0.5)(whole(x), generator()).inputs
    assert abs(float(noise.std()) - 0.5) < 0.02
    assert abs(float(noise.mean())) < 0.02


def test_scale_is_one_factor_for_each_channel_of_each_series() -> None:
    x = torch.ones(50, 4, 30)
    factors = Scale(deviation=0.2)(whole(x), generator()).inputs
    assert torch.equal(factors, factors[:, :1].expand(50, 4, 30))
    assert abs(float(factors.std()) - 0.2) < 0.02


def test_a_warped_series_runs_through_the_same_values_from_its_first_to_its_last() -> None:
    ramp = torch.arange(40.0).reshape(1, 40, 1).repeat(20, 1, 2)
    lengths = torch.arange(21, 41)
    warped = TimeWarp(deviation=0.7)(SequenceBatch(ramp, lengths, torch.arange(20)), generator()).inputs
    for row, length in zip(warped, lengths.tolist(), strict=True):
        real = row[:length]
        assert torch.equal(real[:, 0], real[:, 1])  # all channels alike
        assert float(real[0, 0]) == 0
        assert float(real[-1, 0]) == pytest.approx(length - 1, abs=1e-3)
        assert (real.diff(dim=0) > 0).all()  # time never runs back
        assert float((real[:, 0] - torch.arange(float(length))).abs().max()) > 0.1


def test_no_speed_but_1_leaves_a_series_as_it_is() -> None:
    x = batch()
    still = TimeWarp(deviation=1e-12)(x, generator()).inputs
    torch.testing.assert_close(still, x.inputs, rtol=1e-4, atol=1e-4)


def test_a_mask_sets_spans_to_0_no_longer_than_its_share_and_anywhere() -> None:
    lengths = torch.full((500,), 20)
    x = torch.ones(500, 30, 2)
    masked = TimeMask(share=0.25)(SequenceBatch(x, lengths, torch.arange(500)), generator()).inputs
    gone = (masked == 0).all(-1)
    assert torch.equal(gone, (masked == 0).any(-1))
    assert set(gone.sum(1).tolist()) == set(range(6))
    starts = gone.int().diff(dim=1, prepend=torch.zeros(500, 1, dtype=torch.int)) == 1
    assert (starts.sum(1) <= 1).all()
    assert gone.any(0).tolist() == [True] * 20 + [False] * 10


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Jitter(deviation=0), "deviation must be positive, got 0"),
        (lambda: Scale(deviation=-1), "deviation must be positive, got -1"),
        (lambda: TimeWarp(knots=1), "knots must be at least 2, got 1"),
        (lambda: TimeMask(share=1), r"share must lie in \(0, 1\), got 1"),
        (lambda: TimeMask(spans=0), "spans must be at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused_by_name(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


def test_tokens_are_refused_before_training() -> None:
    tokens = RaggedDataset([torch.tensor([1, 2])], torch.tensor([0])).__getitems__([0])
    with pytest.raises(ValueError, match=r"Jitter changes series of numbers .*, got torch\.int64"):
        Jitter()(tokens, generator())


def test_a_warp_is_refused_where_every_step_has_a_target() -> None:
    data = data_of(CopyMemoryData, train_rows=5, val_rows=3, test_rows=2, augmentation=[TimeWarp()])
    with pytest.raises(ValueError, match="every step has a target of its own"):
        data.setup("fit")


def adding(*, seed: int = 1, num_workers: int = 0) -> DataModule:
    rows = {"train_rows": 23, "val_rows": 5, "test_rows": 3, "batch_size": 5}
    augmentation = [Jitter(), Scale()]
    return ready(AddingData, time=9, **rows, seed=seed, num_workers=num_workers, augmentation=augmentation)


def epoch(data: DataModule, number: int) -> list[Tensor]:
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(number)  # type: ignore[attr-defined]
    return [part.inputs for part in loader]


def same(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def test_training_batches_change_anew_in_every_epoch_as_seed_and_epoch_say() -> None:
    data = adding()
    third = epoch(data, 3)
    assert same(third, epoch(data, 3))
    assert not same(third, epoch(data, 4))
    assert not same(third, epoch(adding(seed=2), 3))
    assert same(third, epoch(adding(num_workers=2), 3))
    loader = data.train_dataloader()
    runs = [[part.inputs for part in loader] for _ in range(4)]  # each iteration is the next epoch
    assert same(runs[3], third)


def test_validation_and_test_batches_are_never_changed() -> None:
    data = adding()
    for loader, name in ((data.val_dataloader(), "val"), (data.test_dataloader(), "test")):
        seen = torch.cat([part.inputs for part in loader])
        assert torch.equal(seen, data.split(name).inputs)


def whole(x: Tensor) -> SequenceBatch:
    return SequenceBatch(x, torch.full((len(x),), x.shape[1]), torch.zeros(len(x), dtype=torch.long))
