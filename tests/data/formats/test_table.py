"""Delimited tables: by which dialect they are read, and that they are then read in the same way again."""

import io

import pytest

from seqmodels.data.formats.records import read_records
from seqmodels.data.formats.table import CSVDialect, Table

ROWS = [["day", "a", "b"], ["Mon", "1.5", "2"], ["Tue", "-3", "4"]]


def written(delimiter: str, end: str = "\n", rows: list[list[str]] = ROWS) -> bytes:
    return end.join(delimiter.join(row) for row in rows).encode()


def parse(content: str | bytes, name: str = "my.csv", **options: object) -> Table:
    dialect = CSVDialect(**options)  # type: ignore[arg-type]
    return Table.parse(content.encode() if isinstance(content, str) else content, name, dialect)


def rows_of(table: Table) -> list[list[str]]:
    return [list(table.columns), *(row.cells for row in table.rows)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_usual_delimiter_and_line_end_is_recognised(delimiter: str, end: str) -> None:
    table = parse(written(delimiter, end))
    assert rows_of(table) == ROWS
    assert table.dialect.delimiter == delimiter
    assert rows_of(Table.parse(written(delimiter, end), "my.csv", table.dialect)) == ROWS


@pytest.mark.parametrize(
    ("content", "name", "options", "delimiter"),
    [
        ("text\nhello; you\nwell; no\n", "my.csv", {}, ","),  # a single column
        ("a,b\tc\n1,2\t3\n", "my.tsv.gz", {}, "\t"),
        ("1,5;2,5\n3,5;4,5\n", "my.csv", {"header": False}, ";"),  # decimal commas
        ("Zeit;Wert, roh\n1;2,5\n2;3,5\n", "my.csv", {}, ";"),
        ('text;label\n"good; or, bad";pos\n', "my.csv", {}, ";"),
        ('text\tlabel\n"good\tpos\nbad"\tneg\n', "my.csv", {"quotes": False}, "\t"),
        ("text,label\ngood; fine,pos\nbad; poor,neg\n", "my.csv", {}, ","),
        ("a;b\n1;2\n3\n" + "5;6\n" * 4, "my.csv", {}, None),
    ],
)
def test_the_delimiter_is_the_one_that_gives_equal_rows(
    content: str, name: str, options: dict[str, object], delimiter: str | None
) -> None:
    if delimiter is None:
        with pytest.raises(ValueError, match=r"^my.csv, line 3: 1 fields, but there are 2 columns$"):
            parse(content, name, **options)
    else:
        assert parse(content, name, **options).dialect._replace(suffix=None) == CSVDialect(delimiter, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("delimiter", ["\t", "\\t", "", None])
def test_a_tab_may_be_written_or_left_out(delimiter: str | None) -> None:
    assert rows_of(parse(written("\t"), delimiter=delimiter)) == ROWS


def test_a_wrong_delimiter_is_answered_with_the_right_one() -> None:
    with pytest.raises(ValueError, match=r"no column 'a' .*looks delimited by ';': data.delimiter=';'$"):
        parse(written(";"), delimiter=",").index("a")
    with pytest.raises(ValueError, match=r"line 2: 2 fields, but .*looks delimited by '\\t': data.delimiter='\\t'$"):
        parse("a\tb\n1\t2,5\n", delimiter=",")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_a_table_is_read_in_its_encoding(encoding: str) -> None:
    content = "text,label\nsüß,pos\n".encode(encoding)
    assert rows_of(parse(content, encoding=encoding))[1] == ["süß", "pos"]


def test_columns_without_a_header_are_called_by_their_numbers() -> None:
    table = parse(written(","), header=False)
    assert table.columns == ("0", "1", "2")
    assert table.cells(2) == table.cells("2") == ["b", "2", "4"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"delimiter": "::"}, "delimiter must be a single character, .*got '::'"),
        ({"delimiter": '"'}, "delimiter must be a single character"),
        ({"decimal": ";"}, "decimal must be '.' or ',', got ';'"),
        ({"encoding": "utf-9"}, "encoding must be one that Python knows"),
    ],
)
def test_what_is_no_dialect_is_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Table.parse(written(","), "my.csv", CSVDialect(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("said", ["sep=;", '"sep=;"'])
def test_the_delimiter_that_a_first_line_declares_for_excel_is_used(said: str) -> None:
    content = f"{said}\r\nday;a,b\r\nMon;1\r\n"
    table = parse(content)
    assert (table.columns, table.rows[0].place) == (("day", "a,b"), "my.csv, line 3")
    (record,) = read_records(io.BytesIO(content.encode()), "my.csv", "csv")
    assert (record.fields, record.place) == ({"day": "Mon", "a,b": "1"}, "my.csv, line 3")


def test_columns_without_a_name_are_called_by_their_place() -> None:
    assert parse("day;;\nMon;;1\n").columns == ("day", "column 2", "column 3")


def test_a_header_of_numbers_is_read_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert parse("1.5,2\n3,4\n").columns == ("1.5", "2")
    assert "my.csv, line 1: its numbers are read as names of columns; data.header=false" in caplog.text
