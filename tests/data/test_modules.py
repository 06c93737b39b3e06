"""What every data module promises, and what each set is."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqmodels.data import AddingData, DataModule, DigitsData, Loading, MNISTData, ParityData, SequenceDataset
from seqmodels.data.batch import TargetKind
from seqmodels.data.sets.digits import DEVIATION, MEAN
from seqmodels.data.sets.mnist import MEAN as MNIST_MEAN
from seqmodels.data.sets.mnist import as_sequences
from tests.data.formats.test_idx import idx
from tests.datasets import data_of, given, ready

SPLITS = ("train", "val", "test")
ROWS = {"train_rows": 37, "val_rows": 11, "test_rows": 13}
SMALL: dict[str, Callable[..., DataModule]] = {
    "digits": partial(data_of, DigitsData),
    "parity": partial(data_of, ParityData, **ROWS),
    "adding": partial(data_of, AddingData, time=9, **ROWS),
}


def own(splits: dict[str, Any], kind: TargetKind = "classification", **loading: Any) -> DataModule:
    return given(splits, kind, {"input_size": 1, "output_size": 2}, **{"batch_size": 5, **loading})


def labelled(*targets: float) -> SequenceDataset:
    return SequenceDataset(torch.zeros(len(targets), 3, 1), torch.tensor(targets, dtype=torch.long))


def contents(data: DataModule) -> list[torch.Tensor]:
    return [tensor for name in SPLITS for tensor in (data.split(name).inputs, data.split(name).targets)]


@pytest.mark.parametrize("name", SMALL)
def test_batches_fit_the_sizes_that_the_module_states(name: str) -> None:
    data = SMALL[name](batch_size=5)
    data.setup("fit")
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        batch = next(iter(loader))
        assert batch.inputs.dtype == torch.float32
        assert batch.inputs.shape == (5, int(batch.lengths.max()), data.sizes["input_size"])
        assert data.sizes.get("time", batch.inputs.shape[1]) == batch.inputs.shape[1]
        if data.target_kind == "classification":
            assert batch.targets.shape == (5,)
            assert int(batch.targets.max()) < data.sizes["output_size"] == len(data.class_names)
        else:
            assert batch.targets.shape == (5, data.sizes["output_size"])
            assert data.class_names == ()


@pytest.mark.parametrize("name", SMALL)
def test_the_data_seed_decides_what_the_data_are_and_nothing_else_does(name: str) -> None:
    first, again, other = SMALL[name](), SMALL[name](seed=9, batch_size=3), SMALL[name](data_seed=1)
    for data in (first, again, other):
        torch.randn(3)
        data.setup("fit")
    assert all(torch.equal(a, b) for a, b in zip(contents(first), contents(again), strict=True))
    assert not torch.equal(first.split("train").inputs, other.split("train").inputs)


def test_setting_up_twice_reads_once() -> None:
    data = ready(DigitsData)
    before = data.split("train")
    data.setup("test")
    assert data.split("train") is before


def test_a_module_prints_what_it_is_composed_of_and_reads_nothing_for_it() -> None:
    data = DataModule(DigitsData(), loading=Loading(batch_size=7))
    before = str(data)
    data.setup()
    assert before == str(data) == repr(data)
    assert "DigitsData" in before
    assert "batch_size=7" in before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("digits",), "source must be .*Source.*, got 'digits'"),
        ((DigitsData,), "source must be .*Source"),
        ((DigitsData(), Loading(batch_size=7)), "preparation must be .*Preparation.*, got Loading"),
        ((DigitsData(), None, {"batch_size": 7}), "loading must be .*Loading.*, got {'batch_size': 7}"),
    ],
    ids=["name", "class", "loading as preparation", "dict"],
)
def test_parts_of_another_kind_are_refused(arguments: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        DataModule(*arguments)


def test_data_are_not_read_before_they_are_set_up() -> None:
    with pytest.raises(RuntimeError, match=r"DataModule.setup\(\) must be called"):
        DataModule(DigitsData()).train_dataloader()


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"batch_size": 0}, "batch_size"), ({"num_workers": -1}, "num_workers"), ({"seed": -1}, "seed")],
)
def test_options_out_of_range_are_refused_by_name(options: dict[str, int], reason: str) -> None:
    with pytest.raises(ValueError, match=f"{reason} must be a whole number of at least"):
        Loading(**options)  # type: ignore[arg-type]


GOOD = labelled(0, 1, 1)
NUMBERS = SequenceDataset(torch.zeros(3, 2, 1), torch.zeros(3, 2))


@pytest.mark.parametrize(
    ("splits", "reason"),
    [
        ({"val": labelled()}, "the val split is empty"),
        ({"train": labelled(0, 1, 2)}, "the train split, row 2: a class must be 0 to 1, got 2"),
        ({"test": labelled(0, -1)}, "the test split, row 1: .*got -1"),
        ({"train": NUMBERS}, "the train split: classes must be int64"),
        (
            {"val": SequenceDataset(torch.tensor([[[1.0]], [[torch.nan]]]), torch.tensor([0, 1]))},
            "val split, row 1: an input",
        ),
    ],
)
def test_bad_classes_are_refused_at_setup_by_split_row_and_value(
    splits: dict[str, SequenceDataset], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        own(dict.fromkeys(SPLITS, GOOD) | splits).setup("fit")


def test_large_inputs_are_not_taken_for_infinite_ones() -> None:
    large = SequenceDataset(torch.full((3, 2, 1), 3e38), torch.tensor([0, 1, 1]))
    own(dict.fromkeys(SPLITS, large)).setup("fit")


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (torch.tensor([[1.0, 2.0], [3.0, torch.inf]]), r"val split, row 1: a target must be finite, got \[3.0, inf\]"),
        (torch.zeros(2), r"val split: values must be floats \(rows, 2\), got torch.float32 \(2,\)"),
        (torch.zeros(2, 2).long(), "val split: values must be floats"),
    ],
)
def test_bad_values_are_refused_at_setup(targets: torch.Tensor, reason: str) -> None:
    val = SequenceDataset(torch.zeros(2, 2, 1), targets)
    with pytest.raises(ValueError, match=reason):
        own(dict.fromkeys(SPLITS, NUMBERS) | {"val": val}, "regression").setup("fit")


def test_a_train_split_smaller_than_a_full_batch_is_refused_where_only_full_ones_count() -> None:
    own(dict.fromkeys(SPLITS, GOOD)).setup("fit")
    with pytest.raises(ValueError, match="train split has 3 rows, fewer than batch_size=5, and drop_last"):
        own(dict.fromkeys(SPLITS, GOOD), drop_last=True).setup("fit")


def test_digits_are_the_1797_images_each_once_and_each_class_alike() -> None:
    data = ready(DigitsData)
    parts = [data.split(name) for name in SPLITS]
    images = torch.cat([part.inputs for part in parts])
    assert images.shape == (1797, 8, 8)
    assert torch.equal((images * DEVIATION + MEAN).unique().round(decimals=4), torch.arange(17.0))
    assert abs(float(images.mean())) < 0.01
    assert abs(float(images.std()) - 1) < 0.01
    assert len(images.unique(dim=0)) == 1797  # no two images are alike, so none is in two splits
    counts = torch.cat([part.targets for part in parts]).bincount()
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        assert (part.targets.bincount() - share * counts).abs().max() <= 1


def test_the_class_of_bits_is_their_parity_at_every_length() -> None:
    data = ready(ParityData, min_length=2, max_length=6, test_min_length=9, test_max_length=31, train_rows=500)
    for name, (shortest, longest) in (("train", (2, 6)), ("val", (2, 6)), ("test", (9, 31))):
        split = data.split(name)
        assert (int(split.lengths.min()), int(split.lengths.max())) == (shortest, longest)
        for row in (split[index] for index in range(200)):
            assert int(row.targets) == sum(int(bit) for bit in row.inputs.flatten().tolist()) % 2
        assert 0.4 < float(split.targets.float().mean()) < 0.6


@pytest.mark.parametrize("lengths", [(0, 3), (4, 3)])
def test_lengths_of_parity_that_cannot_be_are_refused(lengths: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="min_length must be 1 to max_length"):
        ParityData(min_length=lengths[0], max_length=lengths[1])
    with pytest.raises(ValueError, match="test_min_length must be 1 to test_max_length"):
        ParityData(test_min_length=lengths[0], test_max_length=lengths[1])


def test_the_target_of_adding_is_the_sum_of_two_marked_numbers_one_in_each_half() -> None:
    data = ready(AddingData, time=7, train_rows=300)
    numbers, markers = data.split("train").inputs.unbind(-1)
    assert torch.equal(markers[:, :3].sum(1), torch.ones(300))
    assert torch.equal(markers[:, 3:].sum(1), torch.ones(300))
    assert markers.sum(0).gt(0).all()  # every step is marked at times
    assert set(markers.unique().tolist()) == {0, 1}
    torch.testing.assert_close(data.split("train").targets[:, 0], numbers[markers == 1].reshape(300, 2).sum(1))
    assert 0.14 < float(data.split("train").targets.var()) < 0.19


def test_adding_needs_two_steps() -> None:
    with pytest.raises(ValueError, match="time must be at least 2"):
        AddingData(time=1)


def test_pixels_are_read_row_by_row_or_in_one_order_for_all() -> None:
    images = torch.arange(2 * 3 * 5).reshape(2, 3, 5)
    assert torch.equal(as_sequences(images, "rows", 0), images)
    pixels = as_sequences(images, "pixels", 0)
    assert pixels[0, :, 0].tolist() == list(range(15))
    permuted = as_sequences(images, "permuted", 7)
    assert permuted[0, :, 0].tolist() != list(range(15))
    assert sorted(permuted[0, :, 0].tolist()) == list(range(15))
    assert torch.equal(permuted[1], permuted[0] + 15)
    assert torch.equal(permuted, as_sequences(images, "permuted", 7))
    assert not torch.equal(permuted, as_sequences(images, "permuted", 8))


def test_missing_mnist_files_are_named_with_their_folder_and_the_way_out(tmp_path: Path) -> None:
    data = MNISTData(data_dir=tmp_path)
    for step in (data.prepare, data.splits):
        with pytest.raises(FileNotFoundError, match=f"{tmp_path}/mnist lacks train-images-idx3-ubyte, .*download=true"):
            step()


def test_an_mnist_file_with_other_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    for file in MNISTData.files:
        (tmp_path / "mnist" / file.name).write_bytes(idx(np.ones((3, 2), dtype=np.uint8)))
    with pytest.raises(ValueError, match="train-images-idx3-ubyte holds 18 bytes unpacked, the published"):
        MNISTData(data_dir=tmp_path).splits()


def test_a_layout_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="layout must be one of rows, pixels, permuted, got 'columns'"):
        MNISTData(data_dir="anywhere", layout="columns")  # type: ignore[arg-type]


def test_mnist_reads_as_published(data_dir: Path) -> None:
    data = data_of(MNISTData, data_dir=data_dir, batch_size=7)
    data.prepare_data()
    data.setup("fit")
    assert [len(data.split(name)) for name in SPLITS] == [55000, 5000, 10000]
    train, test = data.split("train"), data.split("test")
    assert train.targets[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    assert next(iter(data.train_dataloader())).inputs.shape == (7, 28, 28)
    assert abs(float(train.inputs.mean())) < 0.01
    assert abs(float(train.inputs.std()) - 1) < 0.01


def test_mnist_by_pixels_is_mnist_by_rows_in_other_steps(data_dir: Path) -> None:
    rows, pixels, permuted = (
        ready(MNISTData, data_dir=data_dir, layout=layout, standardize=False)
        for layout in ("rows", "pixels", "permuted")
    )
    images = rows.split("test").inputs
    assert torch.equal(pixels.split("test").inputs, images.reshape(10000, 784, 1))
    assert permuted.sizes == pixels.sizes == {"input_size": 1, "output_size": 10, "time": 784}
    order = torch.randperm(784, generator=torch.Generator().manual_seed(0))
    assert torch.equal(permuted.split("test").inputs[..., 0], images.flatten(1)[:, order])
    assert abs(float(rows.split("train").inputs.mean()) - MNIST_MEAN) < 1e-3
