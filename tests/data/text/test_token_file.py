"""A file of tokens: the same corpus as in memory, written once, whole or not at all."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from seqmodels.data.text.corpus import corpus_of
from seqmodels.data.text.token_file import read_tokens, token_file
from tests.killing import killed_at_byte

DOCUMENTS: tuple[list[int], ...] = ([5, 6, 7], [], [299, 4], [8] * 11)
ORIGIN = {"files": [["a.txt", 17, 1.5]], "vocabulary": "abc"}


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def pieces(documents: Sequence[Sequence[int]]) -> list[list[Sequence[int]]]:
    """Part each document into two pieces."""
    return [[document[:2], document[2:]] for document in documents]


def write(path: Path, origin: object = ORIGIN, documents: Sequence[Sequence[int]] = DOCUMENTS) -> object:
    return token_file(path, pieces(documents), vocab_size=300, edge=0, origin=origin)  # type: ignore[arg-type]


@pytest.mark.parametrize(("documents", "edge"), [(DOCUMENTS, 0), ([[3, 1, 4, 1, 5]], None)])
@pytest.mark.parametrize("vocab_size", [300, 70000])
def test_a_file_holds_the_corpus_that_memory_would(
    documents: Sequence[Sequence[int]], edge: int | None, vocab_size: int, tmp_path: Path
) -> None:
    mapped = token_file(tmp_path / "x.tokens", pieces(documents), vocab_size=vocab_size, edge=edge, origin=ORIGIN)
    memory = corpus_of(documents, vocab_size, edge)
    assert isinstance(mapped.tokens, np.memmap)
    assert mapped.tokens.tolist() == memory.tokens.tolist()
    assert mapped.offsets.tolist() == memory.offsets.tolist()
    assert mapped.tokens.dtype.itemsize == (2 if vocab_size == 300 else 4)


def test_a_file_is_written_once_for_what_it_was_made_from(tmp_path: Path) -> None:
    def never() -> Iterator[list[list[int]]]:
        raise AssertionError("a whole file needs no second reading")
        yield []

    path = tmp_path / "x.tokens"
    write(path)
    assert token_file(path, never(), vocab_size=300, edge=0, origin=ORIGIN).documents == 4
    write(path, {**ORIGIN, "files": [["a.txt", 18, 1.5]]}, [[1], [2]])
    assert read_tokens(path, ORIGIN) is None
    stale = read_tokens(path, {**ORIGIN, "files": [["a.txt", 18, 1.5]]})
    assert stale is not None
    assert stale.documents == 2


def test_an_interrupted_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def interrupted() -> Iterator[list[list[int]]]:
        yield [[1, 2, 3]]
        raise KeyboardInterrupt

    path = tmp_path / "x.tokens"
    write(path)
    with pytest.raises(KeyboardInterrupt):
        token_file(path, interrupted(), vocab_size=300, edge=0, origin={"other": 1})
    assert names(tmp_path) == ["x.tokens"]
    assert read_tokens(path, ORIGIN) is not None


def test_what_a_killed_writing_left_goes_with_the_next(tmp_path: Path) -> None:
    assert killed_at_byte(lambda: write(tmp_path / "x.tokens"), 9) < 0
    assert names(tmp_path) not in ([], ["x.tokens"])
    write(tmp_path / "x.tokens")
    assert names(tmp_path) == ["x.tokens"]


def test_a_file_that_was_cut_off_or_is_another_is_none_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.tokens"
    write(path)
    whole = path.read_bytes()
    for kept in (0, 1, 20, len(whole) - 1):
        path.write_bytes(whole[:kept])
        assert read_tokens(path, ORIGIN) is None
    path.write_bytes(whole[8:])
    assert read_tokens(path, ORIGIN) is None
    write(path)
    assert path.read_bytes() == whole


def test_a_file_in_which_any_byte_has_changed_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.tokens"
    write(path)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert read_tokens(path, ORIGIN) is None, at


def test_there_must_be_a_document_and_one_alone_without_an_edge(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no document"):
        token_file(tmp_path / "x.tokens", [], vocab_size=9, edge=0, origin={})
    with pytest.raises(ValueError, match="there must be one, got several"):
        token_file(tmp_path / "x.tokens", [[[1]], [[2]]], vocab_size=9, edge=None, origin={})
    assert names(tmp_path) == []
