"""Everything that reads from outside reads damaged input or refuses it by name; and the judge sees what is wrong."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzz_readers import all_readers, fuzz
from fuzzing import judging
from fuzzing.judging import NAME, Reader, judge, judge_written
from fuzzing.mutation import mutated

from seqmodels.errors import nearest

INPUTS = 250  # of a reader that takes its full share


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Reader]]:
    """All readers, in a folder that is in memory where there is one."""
    shared = Path("/dev/shm")
    folder = tmp_path_factory.mktemp("fuzz")
    if os.access(shared, os.W_OK):
        folder = shared / f"seqmodels-{folder.parent.name}-{os.getpid()}"
        folder.mkdir()
    yield all_readers(folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if not path.is_dir() else path.rmdir()
    folder.rmdir()


@pytest.mark.long
def test_every_reader_reads_damaged_input_or_refuses_it_by_name(readers: list[Reader]) -> None:
    warnings.filterwarnings("ignore", f".*{NAME}")
    faults = []
    for reader in readers:
        assert judge(reader, reader.seeds[0]) == (True, None), f"{reader.name} refuses what mutations begin with"
        _, _, found = fuzz(reader, max(8, INPUTS * reader.share // 100), seed=11)
        faults += [f"{fault.reader}: {fault.reason} {fault.content[:200]!r}" for fault in found]
    assert not faults, "\n".join(faults[:9])


def raising(error: BaseException) -> Callable[[bytes], Any]:
    def read(content: bytes) -> Any:
        raise error

    return read


def sleeping(content: bytes) -> None:
    time.sleep(300)


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (raising(KeyError("x")), "KeyError from"),
        (raising(ValueError(f"{NAME}: raised by no line of ours")), "ValueError from"),
        (lambda content: nearest(1, 2), "'int' object is not iterable"),  # type: ignore[arg-type]
        (raising(RecursionError()), "RecursionError from"),
        (sleeping, "takes more than 0.01 s"),
        (raising(SystemExit(1)), "SystemExit from"),
    ],
)
def test_the_judge_sees_what_is_no_error_of_ours(
    read: Callable[[bytes], Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "SECONDS", 0.01 if read is sleeping else 300)
    good, found = judge(Reader("bad", read, [b""]), b"content")
    assert not good
    assert found is not None
    assert reason in found


def test_the_judge_sees_data_that_come_back_otherwise() -> None:
    reader = Reader("bad", lambda content: content.strip(), [], lambda random: (b" a ", b" a "))
    assert "comes back as" in str(judge_written(reader, Random(0))[1])


def test_the_same_seed_makes_the_same_inputs_and_no_two_are_alike() -> None:
    first, again = ([mutated(b"some, content\n" * 5, random) for _ in range(200)] for random in (Random(3), Random(3)))
    assert first == again
    assert len(set(first)) > 150
