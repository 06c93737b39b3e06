"""Checkpoint files: the last valid one survives, and damaged ones are never read."""

import hashlib
import logging
import os
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from seqmodels.errors import ConfigError, CorruptCheckpointError, DiskFullError
from seqmodels.system.sidecar import sidecar
from seqmodels.training.checkpoint_file import DurableCheckpointIO, keep_previous, restore_previous
from seqmodels.training.checkpoint_format import FORMAT
from seqmodels.training.checkpoint_reading import load_checkpoint, newest_valid, read_checkpoint
from tests.killing import answer_with_limit, at_line, in_child, killed_at_byte, killed_at_line, lines_that_matter

RECIPE = {
    "config": {"model": {}, "task": {}, "optimizer": {}},
    "sizes": {"input_size": 3},
    "class_names": [],
    "preprocessing": None,
}
OURS = ("durable.py", "sidecar.py", "checkpoint_file.py", "checkpoint_reading.py")


def content(number: int, size: int = 997) -> dict[str, Any]:
    return {"format": FORMAT, "recipe": RECIPE, "state_dict": {"w": torch.full((size,), float(number))}}


def save(path: Path, number: int, **options: Any) -> None:
    DurableCheckpointIO(**options).save_checkpoint(content(number), path)


def number_in(path: Path) -> int:
    (number,) = read_checkpoint(path)["state_dict"]["w"].unique().tolist()
    return int(number)


def keep_and_save(last: Path, number: int) -> None:
    keep_previous(last)
    save(last, number)


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """The last of two checkpoints of a run, with the numbers 2 and 1 in them."""
    path = tmp_path / "checkpoints" / "last.ckpt"
    save(path, 1)
    keep_and_save(path, 2)
    return path


def test_a_checkpoint_has_its_sha256_beside_it_as_sha256sum_writes_it(last: Path) -> None:
    digest = hashlib.sha256(last.read_bytes()).hexdigest()
    assert sidecar(last).read_text() == f"{digest}  last.ckpt\n"
    names = {"last.ckpt", "last.ckpt.sha256", "previous.ckpt", "previous.ckpt.sha256"}
    assert {path.name for path in last.parent.iterdir()} == names
    assert (number_in(last), number_in(last.with_name("previous.ckpt"))) == (2, 1)


def test_a_run_that_is_killed_at_any_line_goes_on_from_its_last_checkpoint_or_the_one_before(
    last: Path, tmp_path: Path
) -> None:
    work, start = partial(keep_and_save, last, 3), tmp_path / "start"
    shutil.copytree(last.parent, start)
    lines = lines_that_matter(work, OURS, last.parent)
    seen = []
    for line in lines:
        shutil.rmtree(last.parent)
        shutil.copytree(start, last.parent)
        assert killed_at_line(work, OURS, line) < 0
        assert number_in(last) in (2, 3), "the file under the name is whole, and its sidecar lists it"
        assert number_in(last.with_name("previous.ckpt")) in (1, 2)
        assert newest_valid(last.parent) == last
        assert not list(last.parent.glob(".*"))
        seen.append(number_in(last))
        keep_and_save(last, 4)
        assert number_in(last) == 4
        assert len(sidecar(last).read_text().splitlines()) == 1
    assert len(lines) >= 15
    assert seen == sorted(seen)
    assert set(seen) == {2, 3}


@pytest.mark.parametrize("other_disk", [False, True])
def test_a_run_that_is_killed_at_any_byte_keeps_its_last_checkpoint(
    other_disk: bool, last: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = Path("/dev/shm") if other_disk else Path(tempfile.gettempdir())
    if other_disk and not temporary.is_dir():
        pytest.skip("there is no second file system")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    there = set(temporary.iterdir())
    whole = last.stat().st_size
    for size in (300, 1000, whole // 2, whole - 1000, whole - 1):
        assert killed_at_byte(lambda: save(last, 3), size) < 0
        assert list(last.parent.glob(".*")), "it was killed while it wrote"
        assert number_in(last) == 2
        assert newest_valid(last.parent) == last
        assert not list(last.parent.glob(".*"))
    assert set(temporary.iterdir()) <= there | {last.parents[1]}


def test_the_sidecar_lists_old_and_new_where_both_may_stand(last: Path) -> None:
    old = sidecar(last).read_text()
    assert killed_at_byte(lambda: DurableCheckpointIO().save_checkpoint(content(3, 9), last), 99) < 0
    assert sidecar(last).read_text() == old
    sidecar(last).write_text(f"{'0' * 64}  last.ckpt\n" + old)  # killed before the checkpoint was replaced
    assert number_in(last) == 2
    save(last, 3)
    assert number_in(last) == 3
    assert len(sidecar(last).read_text().splitlines()) == 1


@pytest.mark.parametrize("with_sidecar", [True, False])
def test_a_flipped_byte_never_gives_other_numbers(with_sidecar: bool, last: Path) -> None:
    whole = last.read_bytes()
    if not with_sidecar:
        sidecar(last).unlink()
    places = random.Random(0)
    refused = 0
    for _ in range(20):
        place = places.randrange(len(whole))
        last.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << places.randrange(8)]) + whole[place + 1 :])
        try:
            assert torch.equal(read_checkpoint(last)["state_dict"]["w"], content(2)["state_dict"]["w"])
        except CorruptCheckpointError as error:
            assert str(error).startswith(f"cannot read the checkpoint {last}: ")  # noqa: PT017
            refused += 1
    assert refused == 20 if with_sidecar else refused > 10


def test_no_part_without_a_sidecar_may_be_called_a_folder(last: Path) -> None:
    """torch would allocate its memory without filling it."""
    sidecar(last).unlink()
    whole = bytearray(last.read_bytes())
    with zipfile.ZipFile(last) as archive:
        start = archive.start_dir
    whole[start + 38] = 0x10  # the attributes of the first part in the list
    last.write_bytes(whole)
    with pytest.raises(CorruptCheckpointError, match="its list of parts is damaged"):
        read_checkpoint(last)


@pytest.mark.parametrize("with_sidecar", [True, False])
def test_a_checkpoint_that_was_cut_off_is_refused_wherever(with_sidecar: bool, last: Path) -> None:
    whole = last.read_bytes()
    if not with_sidecar:
        sidecar(last).unlink()
    for size in [0, 1, 3, 4, *range(50, len(whole), len(whole) // 16), len(whole) - 1]:
        last.write_bytes(whole[:size])
        with pytest.raises(CorruptCheckpointError, match=r"previous\.ckpt can be used"):
            read_checkpoint(last)
        assert newest_valid(last.parent) == last.with_name("previous.ckpt")


def zip_of(path: Path, text: str, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", text)


def legacy(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3).state_dict(), path, _use_new_zipfile_serialization=False)


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "it is empty"),
    "text": (lambda path: path.write_text("PK or not PK"), "torch.save did not write it"),
    "folder": (lambda path: path.mkdir(), "Is a directory"),
    "missing": (lambda path: None, "there is no such file"),
    "zip": (lambda path: zip_of(path, "text"), "cannot read the checkpoint"),
    "bomb": (lambda path: zip_of(path, "0" * 10**6, zipfile.ZIP_DEFLATED), "its parts are compressed"),
    "safetensors": (lambda path: save_file({"w": torch.ones(3)}, path), "torch.save did not write it"),
    "legacy": (legacy, "torch.save did not write it"),
    "list": (lambda path: torch.save([1], path), "is not a checkpoint of seqmodels: it holds a list"),
    "weights": (lambda path: torch.save({"w": torch.ones(3)}, path), "it holds no recipe"),
    "recipe": (lambda path: torch.save({**content(1), "recipe": 3}, path), "it holds no recipe"),
    "sizes": (lambda path: torch.save({"recipe": {"config": {}}}, path), "its recipe has no sizes"),
    "model": (lambda path: torch.save({"recipe": {**RECIPE, "config": {}}}, path), "in its recipe has no model"),
    "no weights": (lambda path: torch.save({"recipe": RECIPE}, path), "it holds no weights"),
    "module": (lambda path: torch.save({"recipe": torch.nn.Linear(2, 3)}, path), r"more than plain data \(torch\.nn"),
    "format": (lambda path: torch.save({**content(1), "format": "a"}, path), "its format is 'a'"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_checkpoint_is_refused_by_name_and_reason(kind: str, last: Path) -> None:
    make, reason = FOREIGN[kind]
    path = last.with_name("best.ckpt")
    make(path)
    with pytest.raises(CorruptCheckpointError, match=reason) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith(f"{last} can be used")
    assert len(str(caught.value).splitlines()) == 1


def test_a_checkpoint_without_a_sidecar_is_read_one_that_its_sidecar_does_not_list_never(last: Path) -> None:
    sidecar(last).unlink()
    assert number_in(last) == 2
    for text in ("", "no digest\n", f"{'0' * 64}  last.ckpt\n", "\0\xff"):
        sidecar(last).write_text(text)
        with pytest.raises(CorruptCheckpointError, match=r"its sha256 is not in last\.ckpt\.sha256"):
            read_checkpoint(last)
    sidecar(last).unlink()
    save(last, 3)
    assert number_in(last) == 3


def test_the_newest_that_can_be_used_is_found_and_the_others_are_named(
    last: Path, caplog: pytest.LogCaptureFixture
) -> None:
    best, previous = last.with_name("best.ckpt"), last.with_name("previous.ckpt")
    save(best, 0)
    for damaged, expected in ((None, last), (last, previous), (previous, best)):
        if damaged is not None:
            damaged.write_bytes(damaged.read_bytes()[:-1])
        caplog.clear()
        assert newest_valid(last.parent) == expected
        warned = [record.getMessage() for record in caplog.records]
        bad = {None: [], last: [last], previous: [last, previous]}[damaged]
        assert len(warned) == len(bad)
        assert all(
            f"cannot read the checkpoint {path}: its sha256" in line for path, line in zip(bad, warned, strict=True)
        )
    best.write_bytes(b"")
    with pytest.raises(CorruptCheckpointError, match=r"none of .* can be used: last.ckpt, previous.ckpt, best.ckpt"):
        newest_valid(last.parent)
    assert newest_valid(last.parent / "missing") is None


def test_a_damaged_checkpoint_does_not_replace_the_good_one_before_it(
    last: Path, caplog: pytest.LogCaptureFixture
) -> None:
    last.write_bytes(last.read_bytes()[:-1])
    keep_previous(last)
    assert "previous.ckpt is left unchanged" in caplog.text
    assert number_in(last.with_name("previous.ckpt")) == 1
    keep_previous(last.with_name("missing.ckpt"))
    assert number_in(last.with_name("previous.ckpt")) == 1


def test_the_one_before_stands_in_for_a_damaged_one_and_not_for_a_better_one(last: Path) -> None:
    whole, previous = last.read_bytes(), last.with_name("previous.ckpt")
    last.write_bytes(whole[:-1])
    restore_previous(last)
    assert number_in(last) == number_in(previous) == 1
    save(last, 3)
    assert (number_in(last), number_in(previous)) == (3, 1), "they are not one file any more"
    previous.write_bytes(b"")
    restore_previous(last)
    assert number_in(last) == 3


def test_the_checkpoint_before_takes_no_second_copy_on_disk(last: Path) -> None:
    keep_previous(last)
    assert last.samefile(last.with_name("previous.ckpt"))


def test_a_link_to_a_checkpoint_is_verified_by_the_sidecar_of_that_one(last: Path) -> None:
    best = last.with_name("best.ckpt")
    save(best, 5)
    last.unlink()
    last.symlink_to("best.ckpt")
    assert number_in(last) == 5
    keep_and_save(last, 6)
    assert (number_in(last), number_in(best), number_in(last.with_name("previous.ckpt"))) == (6, 5, 5)


@pytest.mark.parametrize("size", [200, 3000])
def test_a_full_disk_leaves_the_last_checkpoint_and_stops_or_warns_as_asked(size: int, last: Path) -> None:
    def stop() -> str:
        keep_previous(last)
        with pytest.raises(DiskFullError, match="it needs at least") as caught:
            save(last, 3)
        return str(caught.value)

    def warn() -> str:
        lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("seqmodels").addHandler(handler)
        save(last, 3, on_full_disk="warn")
        return "\n".join(lines)

    assert str(last) in answer_with_limit(stop, size)
    assert answer_with_limit(warn, size).endswith("training continues without this checkpoint")
    assert number_in(last) == 2
    assert not list(last.parent.glob(".*"))


def test_a_checkpoint_that_cannot_be_kept_stops_nothing(last: Path, caplog: pytest.LogCaptureFixture) -> None:
    previous = last.with_name("previous.ckpt")
    previous.unlink()
    previous.mkdir()
    keep_and_save(last, 3)
    assert f"cannot keep {last} as previous.ckpt" in caplog.text
    assert number_in(last) == 3


def test_removing_takes_the_sidecar_too_but_never_the_best_or_the_last(last: Path) -> None:
    io = DurableCheckpointIO()
    other = last.with_name("epoch=3.ckpt")
    save(other, 3)
    save(last.with_name("best.ckpt"), 4)
    io.remove_checkpoint(other)
    io.remove_checkpoint(other)
    for name in ("last", "previous", "best"):
        io.remove_checkpoint(last.with_name(f"{name}.ckpt"))
    names = {f"{name}.ckpt{end}" for name in ("last", "previous", "best") for end in ("", ".sha256")}
    assert {path.name for path in last.parent.iterdir()} == names


def test_a_removal_that_fails_is_a_warning(last: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = last.with_name("epoch=3.ckpt")
    folder.mkdir()
    DurableCheckpointIO().remove_checkpoint(folder)
    assert f"cannot remove the old checkpoint {folder}" in caplog.text
    assert folder.is_dir()


def test_a_checkpoint_of_a_newer_version_is_refused_by_its_version_and_not_passed_over(last: Path) -> None:
    DurableCheckpointIO().save_checkpoint({**content(3), "format": FORMAT + 2}, last)
    for read in (read_checkpoint, load_checkpoint, lambda path: newest_valid(path.parent)):
        with pytest.raises(
            ConfigError, match=rf"{last}: its format is {FORMAT + 2}, .* up to {FORMAT}; update seqmodels"
        ):
            read(last)


@pytest.mark.parametrize("part", ["hyper_parameters", "datamodule_hyper_parameters"])
@pytest.mark.parametrize("name", ["_instantiator", "_class_path"])
def test_hyper_parameters_that_name_code_are_refused(part: str, name: str, last: Path) -> None:
    DurableCheckpointIO().save_checkpoint({**content(3), part: {name: "this.runs", "hidden_size": 3}}, last)
    with pytest.raises(CorruptCheckpointError, match=f"its {part} name code to import: {name} = 'this.runs'"):
        DurableCheckpointIO().load_checkpoint(last)
    DurableCheckpointIO().save_checkpoint({**content(3), part: {"hidden_size": 3}}, last)
    assert number_in(last) == 3


def test_readers_and_two_writers_of_one_checkpoint_see_whole_ones_alone(last: Path) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            save(last, number)

    children = []
    for number in (3, 4):
        child = os.fork()
        if child == 0:
            os._exit(in_child(partial(write, number)))
        children.append(child)
    seen = []
    while children:
        seen.append(number_in(last))
        done, status = os.waitpid(-1, os.WNOHANG)
        if done:
            assert status == 0
            children.remove(done)
    assert set(seen) <= {2, 3, 4}
    assert number_in(last) in (3, 4)
    assert len(sidecar(last).read_text().splitlines()) == 1


def test_a_checkpoint_may_be_replaced_at_any_line_of_its_reader(last: Path) -> None:
    number, reached = 2, True
    while reached:
        number += 1
        seen: list[int] = []
        read = partial(lambda out: out.append(number_in(last)), seen)
        reached = at_line(read, OURS, number - 2, partial(keep_and_save, last, number))
        assert seen[0] in (number - 1, number)
        assert number < 1000
    assert number > 30


def test_checkpoints_are_local_plain_data(last: Path) -> None:
    io = DurableCheckpointIO()
    with pytest.raises(ConfigError, match="local files, got s3://bucket/x"):
        io.save_checkpoint(content(1), "s3://bucket/x")
    with pytest.raises(TypeError, match="storage_options"):
        io.save_checkpoint(content(1), last, storage_options={})
    with pytest.raises(ValueError, match="weights_only must not be False"):
        io.load_checkpoint(last, weights_only=False)
    with pytest.raises(ValueError, match=r"on_full_disk must be one of \('stop', 'warn'\), got 'ask'"):
        DurableCheckpointIO("ask")  # type: ignore[arg-type]


def test_a_copy_of_a_checkpoint_is_as_good_as_the_file(last: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copied.ckpt"
    shutil.copy(last, copy)
    assert number_in(copy) == 2
    shutil.copy(sidecar(last), sidecar(copy))
    assert number_in(copy) == 2
