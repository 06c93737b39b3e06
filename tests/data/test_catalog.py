"""The list of data sets, and what can be done with their files."""

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

import seqmodels.data
from seqmodels.data import (
    DataModule,
    DigitsData,
    Documents,
    LabelledSeries,
    LabelledTexts,
    MNISTData,
    PairedTexts,
    Panel,
    Preparation,
    Recordings,
    Source,
    Splits,
    TaggedSentences,
    TargetKind,
    load,
)
from seqmodels.data.catalog import DATASETS, download, find, verify
from seqmodels.data.sets import OWN_FILES, SETS
from seqmodels.system.names import public_name
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


@pytest.mark.parametrize("name", SETS | OWN_FILES)
def test_a_source_is_public_under_its_own_name_and_states_its_preparation(name: str) -> None:
    source: type[Source] = getattr(seqmodels.data, (SETS | OWN_FILES)[name])
    assert source.name == name
    assert public_name(source) == f"seqmodels.data.{source.__name__}"
    assert issubclass(source.preparation, Preparation)
    assert source.target_kind in get_args(TargetKind)


LARGE = ("mnist", "imdb", "imdb_text", "ag_news", "ud_ewt")
RAW = (Documents, LabelledSeries, LabelledTexts, PairedTexts, Panel, Recordings, TaggedSentences)


def same(one: Any, other: Any) -> bool:
    """Compare raw data of any kind, exactly."""
    if isinstance(one, Documents):
        return list(one) == list(other)
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, list | tuple) and any(isinstance(part, Tensor | list | tuple) for part in one):
        return len(one) == len(other) and all(map(same, one, other))
    return bool((one == other).all()) if hasattr(one, "all") else bool(one == other)


@pytest.mark.parametrize("name", [dataset.name for dataset in DATASETS if not dataset.files])
def test_what_is_loaded_is_what_the_source_has_and_a_reader_understands(name: str) -> None:
    loaded, source = load(name), find(name)()
    assert isinstance(loaded, Splits)
    for part, other in zip(loaded, source, strict=True):  # a source yields its splits
        assert isinstance(part, RAW)
        assert same(part, other)


@pytest.mark.parametrize("name", [data.name for data in DATASETS if data.files and data.name not in LARGE])
def test_published_data_are_loaded_from_the_folder_that_the_environment_names(
    name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQMODELS_DATA_DIR", str(data_dir))
    options = {"target": "AAPL.Close"} if name == "stocks" else {}
    source: Any = find(name)
    for part, other in zip(load(name, **options), source(data_dir=data_dir, **options), strict=True):
        assert isinstance(part, RAW)
        assert same(part, other)


def test_own_files_are_loaded_by_their_path(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("text,label\n" + "good,pos\nbad,neg\n" * 20)
    train, val, test = load("text_csv", path=path, val_share=0.2)
    assert test is not None
    assert (len(train.texts), len(val.texts), len(test.texts)) == (28, 8, 4)
    assert set(zip(train.texts, train.labels, strict=True)) == {("good", "pos"), ("bad", "neg")}
    assert train.places[0].startswith(f"{path}, line ")


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("digit", {}, "there is no data set 'digit'; did you mean 'digits'"),
        ("digits", {"dat_seed": 1}, r"digits has no option 'dat_seed'; did you mean 'data_seed'\? \(it has: data_seed"),
        ("digits", {"batch_size": 1}, "digits has no option 'batch_size'"),
        ("text_csv", {}, "text_csv needs path=..."),
    ],
)
def test_what_cannot_be_loaded_is_answered_with_the_nearest_name(
    name: str, options: dict[str, int], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        load(name, **options)


def test_data_are_loaded_without_lightning_or_hydra() -> None:
    names = [dataset.name for dataset in DATASETS if not dataset.files]
    lines = ["import sys, seqmodels.data", *(f"seqmodels.data.load({name!r})" for name in names)]
    lines += ["print({name.split('.')[0] for name in sys.modules} & {'lightning', 'hydra', 'omegaconf'})"]
    assert (
        subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True).stdout
        == "set()\n"
    )


def test_a_source_and_its_module_show_their_options() -> None:
    shown = repr(DataModule(DigitsData(data_seed=3)))
    assert shown.startswith("DataModule(DigitsData(data_seed=3), DigitsPreparation(), Loading(batch_size=32")


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


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("text_csv", {"path": 5}, "path must be a path, got 5"),
        ("csv_series", {"path": 5}, "path must be a path, got 5"),
        ("csv_series", {"path": "own.csv", "split": "abc"}, "split must have three shares, .*, got 'abc'"),
    ],
)
def test_an_option_of_another_type_is_named(name: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        load(name, **options)
