"""The files of electricity transformers: borders, verification, own copies."""

import gzip
import logging
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from seqmodels.data import ETTData
from seqmodels.data.formats.files import DataFile
from seqmodels.data.sets import ett


def write(folder: Path, name: str, steps: int) -> Path:
    """Write a file in the form of ETTm1: a time column and series, every 15 minutes."""
    start = datetime(2016, 7, 1)
    rows = [f"{start + step * timedelta(minutes=15)},{step}.5,{-step}\n" for step in range(steps)]
    path = folder / "ett" / f"{name}.csv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress("".join(["date,HUFL,OT\n", *rows]).encode()))
    return path


@pytest.mark.parametrize(("name", "train"), [("ETTh1", 8640), ("ETTh2", 8640), ("ETTm1", 34560), ("ETTm2", 34560)])
def test_12_4_and_4_months_are_counted_in_the_steps_of_the_file(name: ett.Name, train: int) -> None:
    source = ETTData(name=name, data_dir="nowhere")
    assert source.split == (train, train // 3, train // 3)
    assert source.file.name == f"{name}.csv"


def test_a_split_of_ones_own_is_kept() -> None:
    assert ETTData(name="ETTm1", data_dir="nowhere", split=(7, 2, 3)).split == (7, 2, 3)


def test_an_own_copy_is_read_and_another_file_than_usual_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, "ETTm1", 13)
    with caplog.at_level(logging.WARNING, "seqmodels"):
        train, val, test = ETTData(name="ETTm1", data_dir=tmp_path, split=(7, 2, 3))
    assert [len(part.tables[0].values) for part in (train, val, test)] == [7, 2, 3]
    assert train.tables[0].frequency.season == 96
    assert f"{path} differs from the published file" in caplog.text


def test_the_usual_file_is_read_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "ETTm1", 13)
    monkeypatch.setitem(ett.MD5, "ETTm1.csv", "8b1a9953c4611296a827abf8c47804d7")  # of another content
    source = ETTData(name="ETTm1", data_dir=tmp_path, split=(7, 2, 3))
    with caplog.at_level(logging.WARNING, "seqmodels"):
        source.splits()
        found = caplog.text.partition("md5 ")[2][:32]
        monkeypatch.setitem(ett.MD5, "ETTm1.csv", found)
        caplog.clear()
        source.splits()
    assert len(found) == 32
    assert caplog.text == ""


def test_a_file_without_checksum_is_never_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*_: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("seqmodels.data.download.download_missing", fetched)
    with pytest.raises(FileNotFoundError, match=r"lacks ETTh2.csv .* put a copy there .* its sha256 is not known"):
        ETTData(name="ETTh2", data_dir=tmp_path, download=True).prepare()


def test_only_the_missing_file_that_was_asked_for_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"lacks ETTh1\.csv .* or allow their download"):
        ETTData(data_dir=tmp_path).prepare()


def test_a_damaged_ETTh1_is_refused(tmp_path: Path) -> None:  # noqa: N802
    write(tmp_path, "ETTh1", 13)
    with pytest.raises(ValueError, match=r"bytes unpacked, the published ETTh1\.csv has 2589657"):
        ETTData(data_dir=tmp_path, split=(7, 2, 3)).splits()


def test_another_name_is_refused_with_the_four_there_are() -> None:
    with pytest.raises(ValueError, match="name must be one of ETTh1, ETTh2, ETTm1, ETTm2, got 'ETTh3'"):
        ETTData(name="ETTh3", data_dir="nowhere")  # type: ignore[arg-type]


def test_every_file_without_sha256_has_an_md5() -> None:
    known = {file.name for file in ETTData.files}
    own = [DataFile(f"{name}.csv", 0, "", ()).name for name in ("ETTh1", "ETTh2", "ETTm1", "ETTm2")]
    assert known | set(ett.MD5) == set(own)
    assert not known & set(ett.MD5)
