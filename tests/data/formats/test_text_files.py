"""Text from files: whole documents of every kind of file, and errors that name the byte."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from seqmodels.data.formats import text_files as module
from seqmodels.data.formats.text_files import DocumentFormat, blocks, documents, text_files


def texts(path: Path, **options: Any) -> list[str]:
    return ["".join(lines) for lines in documents(text_files(path), DocumentFormat(**options))]


def test_a_file_is_one_document_with_its_line_ends_as_they_are_and_no_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\ntwo\n\n\u2028three\x0c four\rfive".encode())
    assert texts(path) == ["one\r\ntwo\n\n\u2028three\x0c four\rfive"]


def test_a_separator_line_parts_documents_and_belongs_to_none(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("---\na\nb\n---\n---\n--- c\n---\r\nd", newline="")
    assert texts(path, separator="---") == ["a\nb\n", "--- c\n", "d"]
    path.write_text("a\n\nb\nc\n\n\n", newline="")
    assert texts(path, separator="") == ["a\n", "b\nc\n"]


def test_a_document_that_is_not_read_does_not_shift_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\nb\n\nc\nd\n")
    assert [next(lines) for lines in documents([path], DocumentFormat(separator=""))] == ["a\n", "c\n"]


def test_a_folder_gives_its_text_files_by_name_and_a_line_of_json_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "sub" / "c.md").write_text("c")
    (tmp_path / "image.png").write_bytes(b"\xff")
    lines = [json.dumps({"body": text}) for text in ("a1", "a\u20ac\n2")]
    (tmp_path / "a.jsonl").write_text("\n\n".join(lines) + "\n")
    assert texts(tmp_path, field="body") == ["a1", "a\u20ac\n2", "b", "c"]


def test_each_line_may_be_a_document_without_its_line_end_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one \r\n\n  \ntwo\rthree\n\n")
    assert texts(path, unit="line") == ["one ", "two", "three"]


def test_files_may_be_compressed_and_a_truncated_one_is_named(tmp_path: Path) -> None:
    content = gzip.compress(b"one\n" * 99)
    (tmp_path / "b.txt.gz").write_bytes(content)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "two"}\n'))
    (tmp_path / "c.csv.gz").write_bytes(b"not a text")
    assert texts(tmp_path) == ["two", "one\n" * 99]
    (tmp_path / "b.txt.gz").write_bytes(content[:-9])
    with pytest.raises(ValueError, match=r"b\.txt\.gz is not a whole gzip file"):
        texts(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "page"}, "documents must be one of file, line, got 'page'"),
        ({"unit": "line", "separator": ""}, "separator='' has no effect with documents=line"),
    ],
)
def test_formats_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DocumentFormat(**options).checked()


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "line 2: is not JSON"), ("[1]", "must be an object with a text"), ('{"text": 3}', "under 'text'")],
)
def test_a_line_that_is_no_record_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n' + line)
    with pytest.raises(ValueError, match=rf"a\.jsonl, line 2: .*|{message}") as caught:
        texts(path)
    assert message in str(caught.value)


def test_another_encoding_is_named_by_file_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc\n\xe4x\n")
    with pytest.raises(ValueError, match=r"a\.txt, line 2: byte 0xe4 at offset 4 is not utf-8"):
        texts(path)


def test_an_encoding_that_is_given_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc\n\xe4x\n")
    assert texts(path, encoding="latin-1") == ["abc\n\u00e4x\n"]


def test_where_there_is_no_text_the_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no such file or folder"):
        text_files(tmp_path / "none")
    with pytest.raises(ValueError, match=r"the folder holds no file that ends in \.txt"):
        text_files(tmp_path)


def test_blocks_are_the_text_in_pieces_of_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 4)
    assert list(blocks(["ab\n", "c\n", "defgh\n", "i"])) == ["ab\nc\n", "defgh\n", "i"]
