"""Bytes become text as they come, exactly or not at all."""

import io
import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqmodels.data.formats import strict_text as module
from seqmodels.data.formats.strict_text import decoded, decoded_lines

LINES = st.text(st.sampled_from("ab\n\r\u20ac\U0001f600\x0b\x0c\x1c\x85\u2028\ufeff\0"), max_size=20)
CHUNKS = st.sampled_from([1, 2, 3, 5, 1 << 18])
patched = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@patched
@given(text=LINES, chunk=CHUNKS, newline=st.sampled_from(["", "\n"]), encoding=st.sampled_from(["utf-8", "utf-16"]))
def test_lines_are_those_that_python_reads_less_a_mark_and_together_the_text(
    text: str, chunk: int, newline: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    content = text.encode(encoding)
    lines = list(decoded_lines(io.BytesIO(content), "f", encoding, newline=newline))  # type: ignore[arg-type]
    assert lines == list(io.StringIO(text.removeprefix("\ufeff"), newline=newline))
    assert decoded(content, "f", encoding) == "".join(lines)


@pytest.mark.parametrize("chunk", [1, 2, 5, 1 << 20])
@pytest.mark.parametrize(
    ("content", "encoding", "place"),
    [
        (b"abc\n\xe4x\n", "utf-8", "line 2: byte 0xe4 at offset 4 is not utf-8"),
        ("\u20ac\n\u20ac\u20ac".encode() + b"\xff", "utf-8", "line 2: byte 0xff at offset 10 is not utf-8"),
        (b"a\n\nb\xc3", "utf-8", "line 3: byte 0xc3 at offset 4 is not utf-8"),
        (b"\xe2\x82\n", "utf-8", "line 1: byte 0xe2 at offset 0 is not utf-8"),
        (b"\xed\xa0\x80", "utf-8", "line 1: byte 0xed at offset 0 is not utf-8"),  # half of a pair
        ("a\n".encode("utf-16") + b"\x00\xdc", "utf-16", "line 2: byte 0x00 at offset 6 is not utf-16"),
        ("ab".encode("utf-16") + b"c", "utf-16", "line 1: byte 0x63 at offset 6 is not utf-16"),
        (b"ab\n\x80", "ascii", "line 2: byte 0x80 at offset 3 is not ascii"),
    ],
)
def test_what_is_not_in_the_encoding_is_named_by_line_and_byte(
    content: bytes, encoding: str, place: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    with pytest.raises(ValueError, match=rf"^name, {place}; convert the file"):
        list(decoded_lines(io.BytesIO(content), "name", encoding))
    with pytest.raises(ValueError, match=rf"^name, {place}; convert the file"):
        decoded(content, "name", encoding)


def test_an_encoding_that_says_no_place_is_named_too() -> None:
    with pytest.raises(ValueError, match=r"^name, line 1: .*; convert the file"):
        list(decoded_lines(io.BytesIO(b"a\nb"), "name", "undefined"))
    with pytest.raises(ValueError, match=r"^name, line 1: UTF-16 .* BOM; convert the file"):
        list(decoded_lines(io.BytesIO("no mark".encode("utf-16-le")), "name", "utf-16"))


def test_a_pipe_gives_its_lines_as_they_are_written() -> None:
    out, into = os.pipe()
    with os.fdopen(out, "rb") as source, os.fdopen(into, "wb", 0) as sink:
        sink.write(b"one\ntw")
        lines = decoded_lines(source, "pipe")
        assert next(lines) == "one\n"
        threading.Timer(0.01, lambda: sink.write(b"o\n")).start()
        assert next(lines) == "two\n"


def test_a_line_of_many_chunks_takes_time_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 64)
    content = b"x\r" * 400_000  # quadratic time would be minutes
    assert len(next(decoded_lines(io.BytesIO(content), "long"))) == len(content)
