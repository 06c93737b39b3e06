"""Files of records: what is read, and what is named when it cannot be."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data.formats.records import Record, read_records, readable
from seqmodels.data.formats.suffixes import Format, format_of
from seqmodels.data.formats.table import CSVDialect, Table

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def read(content: bytes, kind: Format) -> list[Record]:
    return list(readable(read_records(io.BytesIO(content), "new", kind)))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1))
def test_any_table_that_csv_writes_is_read_again(rows: list[tuple[str, str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("text", "other"), *rows])
    fields = [tuple(record.fields.values()) for record in read(file.getvalue().encode(), "csv")]
    assert fields == rows


@given(st.lists(st.dictionaries(TEXT, TEXT), min_size=1))
def test_any_object_that_json_writes_is_read_again(rows: list[dict[str, str]]) -> None:
    content = "".join(json.dumps(row) + "\n" for row in rows)
    assert [record.fields for record in read(content.encode(), "jsonl")] == rows


def test_lines_of_text_lose_their_end_and_the_mark_before_the_first() -> None:
    found = read("\ufeffüber\r\nzwei\n\nvier".encode(), "text")
    assert [record.fields["text"] for record in found] == ["über", "zwei", "", "vier"]
    assert found[3].place == "new, line 4"


def test_a_record_that_spans_lines_stands_where_it_begins() -> None:
    found = read(b'text,label\n"a\nb",1\nc,2\n', "csv")
    assert [(record.place, record.fields["text"]) for record in found] == [
        ("new, line 2", "a\nb"),
        ("new, line 4", "c"),
    ]


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"", "csv", "new is empty: its first line must name the columns"),
        (b"a,a\n1,2\n", "csv", "new, line 1: the column 'a' is named twice"),
        (b"a,b\n1,2\n3\n", "csv", "new, line 3: 1 fields, but there are 2 columns"),
        (b"a\tb\n1\t2\t3\n", "tsv", "new, line 2: 3 fields"),
        (b'a,b\n1,"2\n', "csv", "new, line 2: unexpected end of data in the row from line 2; data.quotes=false"),
        (b"a\n" + b"x" * 200_000 + b"\n", "csv", "new, line 2: field larger than field limit"),
        (b"a\nok\n\xe9t\xe9\n", "csv", "new, line 3: byte 0xe9 at offset 5 is not utf-8; convert"),
        (b'{"text": 1}\n[2]\n', "jsonl", "new, line 2: must be a JSON object"),
        (b'{"text": 1}\n{"text\n', "jsonl", "new, line 2: is not JSON"),
        (b'{"text": ' + b"9" * 5000 + b"}", "jsonl", "new, line 1: is not JSON: Exceeds the limit"),
        (b"[" * 100_000, "jsonl", "new, line 1: is not JSON: it is nested"),
    ],
)
def test_what_cannot_be_read_is_named_by_file_and_line(content: bytes, kind: Format, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(content, kind)


@given(st.binary(), st.sampled_from(["csv", "tsv", "jsonl", "text"]))
def test_any_bytes_are_read_or_refused_by_name(content: bytes, kind: Format) -> None:
    try:
        read(content, kind)
    except ValueError as error:
        assert str(error).startswith("new")  # noqa: PT017  (most contents raise nothing)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("packed", [False, True])
def test_records_are_read_by_the_dialect_that_was_settled_in_training(delimiter: str, packed: bool) -> None:
    content = f'0{delimiter}"1\r2{delimiter}"3\r'.encode("utf-16")
    table = Table.parse(content, "old.csv", CSVDialect(header=False, quotes=False, encoding="utf-16"))
    stream = io.BytesIO(gzip.compress(content) if packed else content)
    records = list(read_records(stream, "new", "csv", table.dialect))
    assert [list(record.fields.values()) for record in records] == [row.cells for row in table.rows]
    assert [tuple(record.fields) for record in records] == [table.columns] * 2


@pytest.mark.parametrize(
    ("content", "kind", "broken"),
    [
        (b"id,text\n1,a\n2\n3,b,c\n4,d\n", "csv", [{"id": "2", "text": ""}, {"id": "3", "text": "b"}]),
        (b'{"text": "a"}\n{"text": \n[3]\n{"text": "d"}\n', "jsonl", [{}, {}]),
    ],
)
def test_broken_rows_are_records_with_an_error_and_do_not_stop_the_others(
    content: bytes, kind: Format, broken: list[dict[str, str]]
) -> None:
    records = list(read_records(io.BytesIO(content), "new", kind))
    assert [bool(record.error) for record in records] == [False, True, True, False]
    assert [record.fields for record in records if record.error] == broken
    assert [record.fields["text"] for record in records if not record.error] == ["a", "d"]
    with pytest.raises(ValueError, match=r"^new, line [23]"):
        list(readable(records))


def test_another_delimiter_in_the_header_is_used_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "seqmodels"):
        (record,) = read_records(io.BytesIO(b"a\tb\n1\t2,5\n"), "new", "csv", CSVDialect(";"))
    assert record.fields == {"a": "1", "b": "2,5"}
    assert "new: columns are delimited by '\\t' in place of ';'" in caplog.text


def test_a_damaged_gzip_stream_is_named() -> None:
    with pytest.raises(ValueError, match=r"new.csv.gz is not a whole gzip file"):
        list(read_records(io.BytesIO(gzip.compress(b"a\n1\n")[:-5]), "new.csv.gz", "csv"))


def test_a_format_is_that_of_the_suffix_unless_it_is_given() -> None:
    assert [format_of(path, None) for path in ("a.CSV", "b.tsv", "c.jsonl", "d.txt", "-", "e.tsv.gz")] == [
        *("csv", "tsv", "jsonl", "text", "text", "tsv")
    ]
    assert format_of("a.csv", "text") == "text"
    with pytest.raises(ValueError, match=r"a.xls: its suffix says no format .*format= says it"):
        format_of("a.xls", None)
    with pytest.raises(ValueError, match="format must be one of csv, tsv, jsonl, parquet, text, got 'xls'"):
        format_of("a.csv", "xls")
