"""Images of IDX files: layouts, scale, splits, and the same for new images."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import IDXData, ImagePreprocessing
from seqmodels.data.labelled.image_preprocessing import as_sequences
from tests.conftest import TOLERANCE
from tests.data.formats.test_idx import idx
from tests.datasets import ready


def files(folder: Path, shape: tuple[int, ...] = (30, 4, 3), *, name: str = "own") -> dict[str, Any]:
    """Write random images of 3 classes called 2, 5 and 11."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, shape).astype(np.uint8)
    labels = np.array([2, 5, 11] * (shape[0] // 3)).astype(np.uint8)
    paths = {"images": folder / f"{name}-images-idx.gz", "labels": folder / f"{name}-labels-idx"}
    paths["images"].write_bytes(gzip.compress(idx(images)))
    paths["labels"].write_bytes(idx(labels))
    return paths


@pytest.mark.parametrize(
    ("shape", "layout", "sizes"),
    [
        ((30, 4, 3), "rows", (4, 3)),
        ((30, 4, 3), "pixels", (12, 1)),
        ((30, 4, 3, 2), "rows", (4, 6)),
        ((30, 4, 3, 2), "permuted", (12, 2)),
        ((30, 5), "rows", (5, 1)),
        ((30, 5), "pixels", (5, 1)),
    ],
)
def test_images_of_any_size_are_sequences_in_every_layout(
    shape: tuple[int, ...], layout: str, sizes: tuple[int, int], tmp_path: Path
) -> None:
    data = ready(IDXData, **files(tmp_path, shape), layout=layout, val_share=0.2, test_share=0.2)
    assert (data.sizes["time"], data.sizes["input_size"]) == sizes
    assert data.class_names == ("2", "5", "11")
    assert [data.split(name).targets.bincount().tolist() for name in ("train", "val", "test")] == [
        [6] * 3,
        [2] * 3,
        [2] * 3,
    ]
    values = data.split("train").values
    torch.testing.assert_close(values.mean(), torch.tensor(0.0), **TOLERANCE[torch.float32])
    torch.testing.assert_close(values.std(correction=0), torch.tensor(1.0), **TOLERANCE[torch.float32])


def test_every_layout_keeps_all_pixels() -> None:
    images = torch.arange(2 * 4 * 3 * 2).reshape(2, 4, 3, 2)
    assert torch.equal(as_sequences(images, "rows").flatten(1), images.flatten(1))
    assert torch.equal(as_sequences(images, "pixels").flatten(1), images.flatten(1))
    permuted = as_sequences(images, "permuted", seed=3)
    assert torch.equal(permuted.sort(1).values, as_sequences(images, "pixels"))
    assert torch.equal(permuted, as_sequences(images, "permuted", seed=3))


@pytest.mark.parametrize("layout", ["rows", "pixels", "permuted"])
def test_new_images_are_what_the_test_split_has(layout: Any, tmp_path: Path) -> None:
    paths = files(tmp_path)
    tests = {f"test_{name}": path for name, path in paths.items()}
    data = ready(IDXData, **paths, **tests, layout=layout, data_seed=5)
    fitted = build(data.preprocessing)
    records = list(fitted.read(str(paths["images"])))
    assert len(records) == len(data.split("test")) == 30
    assert records[1].place == f"{paths['images']}, image 2"
    pixels = records[1].fields["image"].tolist()
    for record in (records[1].fields, {"image": pixels}, {"text": str(pixels)}):
        assert torch.equal(fitted.encode(record), data.split("test")[1].inputs)
    laid_out = as_sequences(records[1].fields["image"].unsqueeze(0), layout, 5)[0].tolist()
    assert torch.equal(fitted.encode({"series": laid_out}), data.split("test")[1].inputs)
    split = fitted.labelled([records[0]._replace(fields={"image": pixels, "label": 11})], data.class_names)
    assert split.targets.tolist() == [2]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"image": [[1, 2], [3]]}, "image: must be rows of pixels of equal length"),
        ({"image": [["a"]]}, "image: must be rows of pixels of equal length, all numbers"),
        ({"image": [[float("inf")]]}, "image: must be rows of finite numbers"),
        ({"image": [[1, 2], [3, 4]]}, "image: must be an image of 4 steps of 3 as rows, got 2 by 2 pixels"),
        ({"pixels": [[1]]}, "a record must have a field image or text, got pixels"),
        ({"text": "[[1,"}, "text"),
    ],
)
def test_an_image_that_cannot_be_read_is_refused(record: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ImagePreprocessing(steps=4, features=3).encode(record)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    paths, fewer = files(tmp_path), files(tmp_path, (27, 4, 3), name="fewer")
    with pytest.raises(ValueError, match=r"27 labels, but .* has 30 images"):
        IDXData(images=paths["images"], labels=fewer["labels"]).splits()
    with pytest.raises(ValueError, match="labels must be one whole number per image"):
        IDXData(images=paths["images"], labels=paths["images"]).splits()
    with pytest.raises(ValueError, match="test_images and test_labels must be given together"):
        IDXData(**paths, test_images=paths["images"])
    with pytest.raises(ValueError, match=r"at most 4 channels, got \(30, 2, 2, 5\)"):
        IDXData(**files(tmp_path, (30, 2, 2, 5), name="wide")).splits()
    with pytest.raises(ValueError, match="missing-idx cannot be read"):
        IDXData(images=tmp_path / "missing-idx", labels=paths["labels"]).splits()
    strange = tmp_path / "strange"
    strange.write_bytes(idx(np.full(30, 7, np.uint8)))
    with pytest.raises(
        ValueError,
        match=r"do not occur in the train split: '7' \(.*strange, image 1; .* and 10 more\); there: 2, 5, 11",
    ):
        IDXData(**paths, test_images=paths["images"], test_labels=strange).splits()
