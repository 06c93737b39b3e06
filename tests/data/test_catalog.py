"""The list of data sets, and what can be done with their files."""

from pathlib import Path
from typing import get_args

import pytest

from seqmodels.data import DigitsData, MNISTData, TargetKind
from seqmodels.data.catalog import DATASETS, download, find, verify
from tests.data.conftest import Server
from tests.data.test_download import CONTENT, FILE, PACKED


def test_every_data_set_says_what_it_is_and_where_it_is_from() -> None:
    assert len({dataset.name for dataset in DATASETS}) == len(DATASETS)
    for dataset in DATASETS:
        assert find(dataset.name) is dataset
        assert dataset.__doc__
        assert dataset.citation
        assert dataset.license
        assert dataset.target_kind in get_args(TargetKind)
        assert bool(dataset.folder) == bool(dataset.files)
        for file in dataset.files:
            assert len(file.sha256) == 64
            assert all(url.startswith("https://") for url in file.urls)


def test_a_name_that_is_none_gets_the_nearest_one() -> None:
    with pytest.raises(
        ValueError, match=r"there is no data set 'mnits'; did you mean 'mnist'\? \(there are: digits, mnist"
    ):
        find("mnits")


def test_missing_and_damaged_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not packed")
    found = {status.name: status for status in verify(MNISTData, tmp_path)}
    assert found["t10k-labels-idx1-ubyte"].state == "damaged"
    assert "not a whole gzip file" in found["t10k-labels-idx1-ubyte"].reason
    assert found["t10k-images-idx3-ubyte"].state == "missing"


def test_a_set_without_files_is_always_there(tmp_path: Path) -> None:
    assert verify(DigitsData, tmp_path) == download(DigitsData, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_missing_and_damaged_files_are_replaced_by_the_published_ones(server: Server, tmp_path: Path) -> None:
    server.pages = {"/numbers.gz": [(200, {}, PACKED)], "/more": [(200, {}, CONTENT)]}
    names = {"numbers": "/numbers.gz", "more": "/more"}

    class Numbers(DigitsData):
        folder = "own"
        files = tuple(FILE._replace(name=name, urls=(server.url(path),)) for name, path in names.items())

    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "numbers").write_bytes(b"damaged")
    assert [status.state for status in download(Numbers, tmp_path)] == ["ok", "ok"]
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["more", "numbers.gz"]
    assert len(server.asked) == 2
    download(Numbers, tmp_path)
    assert len(server.asked) == 2  # all are there


def test_published_files_are_verified(data_dir: Path) -> None:
    assert [status.state for status in verify(MNISTData, data_dir)] == ["ok"] * 4
    assert [status.state for status in download(MNISTData, data_dir)] == ["ok"] * 4  # nothing to fetch
