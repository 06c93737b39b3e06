"""Series in CSV: what is read, and what is refused with its line and column."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data.formats.gaps import Filled
from seqmodels.data.formats.series_table import CSVOptions, read_series, series_of
from seqmodels.data.formats.table import CSVDialect, Table

TABLE = "day,a,b\n2020-01-01,1,2.5\n2020-01-02,-3,4e2\n2020-01-03,5,6\n"
DATED = CSVOptions(time="day")
HEADERLESS = CSVOptions(dialect=CSVDialect(header=False))


def read(text: str | bytes, options: CSVOptions = DATED) -> list[list[float]]:
    return read_series(text.encode() if isinstance(text, str) else text, "my.csv", options).values.tolist()


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.rstrip("\n"),
        "\ufeff" + TABLE,
        TABLE + "\n\n",
        TABLE.replace("2.5", '" 2.5 "').replace("day", '"day"'),
        TABLE.replace("1,2.5", "+1.0,2.50"),
    ],
    ids=["plain", "CRLF", "no last newline", "byte order mark", "blank lines", "quoted", "other spelling"],
)
def test_the_same_table_in_other_spellings_is_the_same_series(text: str) -> None:
    assert read(text) == [[1, 2.5], [-3, 400], [5, 6]]


@given(
    st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1, max_size=9)
)
def test_any_finite_numbers_are_read_exactly(rows: list[list[float]]) -> None:
    text = "".join(",".join(map(repr, row)) + "\n" for row in rows)
    assert read(text, HEADERLESS) == rows


@given(st.binary(max_size=60))
def test_any_bytes_are_a_series_or_a_named_error(content: bytes) -> None:
    try:
        finite, reason = bool(read_series(content, "my.csv", CSVOptions()).values.isfinite().all()), "my.csv"
    except ValueError as error:
        finite, reason = True, str(error)
    assert finite
    assert "my.csv" in reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "my.csv is empty"),
        ("day,a\n", "my.csv has no rows below its header"),
        (TABLE.replace(",6\n", "\n"), "line 4: 2 fields, but there are 3 columns"),
        (TABLE.replace(",6\n", ",6,7\n"), "line 4: 4 fields"),
        (TABLE.replace("4e2", "four"), r"line 3, column b: must be a finite number, got 'four'"),
        (TABLE.replace("4e2", "1_000"), "line 3, column b: .*'1_000'"),
        (TABLE.replace("4e2", "inf"), "line 3, column b: must be a finite number"),
        (TABLE.replace("4e2", ""), r"line 3, column b: a value is missing \(''\); training with data.impute="),
        (TABLE.replace("4e2", "NaN"), "line 3, column b: a value is missing"),
        (TABLE.replace("b", "a"), "the column 'a' is named twice"),
        (TABLE.replace("day", "date"), "my.csv has no column 'day'; did you mean|has no column 'day'"),
        (
            TABLE.replace("2020-01-03", "2020-01-02"),
            "line 4, column day: .*second time, after my.csv, line 3, column day",
        ),
        (TABLE.replace("2020-01-03", "2020-01-05"), "line 4, column day: .*follows"),
        (TABLE.replace("2020-01-03", "then"), "line 4, column day: 'then'"),
        (TABLE.replace("5,6", '5,"6'), "my.csv, line 4: unexpected end"),
        (TABLE.encode().replace(b"2020-01-03", b"\xe4"), r"line 4: byte 0xe4 at offset \d+ is not utf-8"),
        ("day,a\n2020-01-01,x\n2020-01-02,x\n", "no column with numbers"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(text)


@pytest.mark.parametrize(
    ("impute", "expected"),
    [("forward", [1, 1, 1, 7, 7]), ("linear", [1, 3, 5, 7, 7]), ("zero", [1, 0, 0, 7, 0])],
)
def test_missing_values_are_filled_when_asked(impute: str, expected: list[float]) -> None:
    options = HEADERLESS._replace(impute=impute)  # type: ignore[arg-type]
    assert read("1,0\n,0\nNA,0\n7,0\nnull,0\n", options) == [[value, 0] for value in expected]


def test_before_the_first_value_it_is_repeated_backwards() -> None:
    assert read("0,\n0,7\n", HEADERLESS._replace(impute="forward")) == [[0, 7], [0, 7]]


def test_a_column_without_any_value_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1, column 1: every value is missing"):
        read("0,\n0,\n", HEADERLESS._replace(impute="zero", columns=("0", "1")))


@pytest.mark.parametrize(("columns", "expected"), [(("b", "a"), [2.5, 1]), (("b",), [2.5]), (None, [1, 2.5])], ids=str)
def test_columns_are_taken_by_name_in_the_order_they_are_named(
    columns: Sequence[str] | None, expected: list[float]
) -> None:
    options = DATED._replace(columns=None if columns is None else tuple(columns))
    assert read(TABLE, options)[0] == expected


def test_a_misspelt_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no column 'prise'; did you mean 'price'"):
        read("price\n1\n2\n", CSVOptions(columns=("prise",)))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (CSVOptions(impute="mean"), "impute must be one of forward, linear, zero, seasonal, None, got 'mean'"),  # type: ignore[arg-type]
        (CSVOptions(gaps="skip"), "gaps must be one of"),  # type: ignore[arg-type]
        (CSVOptions(dialect=CSVDialect(", ")), "delimiter must be a single character"),
    ],
)
def test_options_that_are_none_are_refused(options: CSVOptions, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(TABLE, options)


def test_other_delimiters_are_read() -> None:
    assert torch.tensor(read("a;b\n1;2\n", CSVOptions(dialect=CSVDialect(";")))).tolist() == [[1, 2]]


WEATHER = "No,hour,pm,wind,rest,cv\n" + "".join(f"{n},{n % 24},{n * 2},{['NW', 'SE'][n % 2]},,7\n" for n in range(40))


def test_columns_of_words_and_without_values_are_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "seqmodels"):
        table = read_series(WEATHER.replace(",7\n", ",A1\n", 30).encode(), "my.csv", CSVOptions())
    assert table.names == ("No", "hour", "pm")
    assert "my.csv: columns left out, as they contain words: wind, cv" in caplog.text
    assert "my.csv: columns left out, as they contain no values: rest" in caplog.text


@pytest.mark.parametrize("row", [2, 17, 41], ids=["first row", "inner row", "last row"])
@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("offline", "must be a finite number, got 'offline'"),
        ('"1,234"', r"must be .*got '1,234'; write numbers without separators of thousands"),
        ('"12,5"', r"must be .*got '12,5'; if it is a decimal comma: train with data.decimal=','"),
        ("#N/A", r"a value is missing \('#N/A'\); training with data.impute="),
        ("#DIV/0!", r"a value is missing \('#DIV/0!'\)"),
    ],
)
def test_what_is_no_number_in_a_column_of_numbers_is_named_in_any_row(cell: str, reason: str, row: int) -> None:
    lines = ["a,y", *(f"{n},{n % 7}" for n in range(40))]
    lines[row - 1] = f"{cell},1"
    with pytest.raises(ValueError, match=f"^my.csv, line {row}, column a: {reason}"):
        read("\n".join(lines), CSVOptions())


def test_numbers_with_a_decimal_comma_are_read() -> None:
    options = CSVOptions(dialect=CSVDialect(decimal=","))
    assert read("a;b\n1,5;-2\n3;4,25e1\n", options) == [[1.5, -2], [3, 42.5]]
    with pytest.raises(ValueError, match=r"line 2, column a: must be a finite number, got '1.5'"):
        read("a;b\n1.5;2\n3;4\n", options)


def test_a_time_in_several_columns_is_joined() -> None:
    rows = "".join(f"2010,1,{1 + n // 24},{n % 24},{n}\n" for n in range(30))
    options = CSVOptions(time=("year", "month", "day", "hour"))
    table = read_series(f"year,month,day,hour,y\n{rows}".encode(), "my.csv", options)
    assert (table.names, table.style.texts(table.future(1))) == (("y",), ["2010-01-02T06:00:00"])
    table = read_series(
        b"date,clock,y\n01.02.2010,7:00,1\n01.02.2010,8:00,2\n", "my.csv", CSVOptions(("date", "clock"))
    )
    assert table.style.texts(table.future(1)) == ["2010-02-01T09:00:00"]


def test_new_rows_are_read_as_the_training_file_was_read() -> None:
    table = read_series(
        "day;a\n13/02/2020;1,5\n14/02/2020;2\n".encode("latin-1"),
        "old.csv",
        CSVOptions(time="day", dialect=CSVDialect(encoding="latin-1", decimal=",")),
    )
    again = read_series(b"day;a\n03/04/2020;1,5\n", "new.csv", table.options)
    assert again.style.texts(again.future(1)) == ["2020-04-04"]
    with pytest.raises(ValueError, match="'04/13/2020' cannot be read as a date as '%d/%m/%Y'"):
        read_series(b"day;a\n04/13/2020;1,5\n", "new.csv", table.options)


GAPS = "day,a,b\n" + "".join(
    f"2020-01-{day:02d},{day},{day * 2 if day != 8 else ''}\n" for day in range(1, 25) if day not in (5, 6, 20)
)


@pytest.mark.parametrize(
    ("impute", "expected"),
    [
        ("forward", [[4, 8], [4, 8], [8, 14], [19, 38]]),
        ("linear", [[5, 10], [6, 12], [8, 16], [20, 40]]),
        ("zero", [[0, 0], [0, 0], [8, 0], [0, 0]]),
        ("seasonal", [[4, 8], [4, 8], [8, 2], [13, 26]]),
    ],
)
def test_missing_rows_and_missing_values_are_filled_and_counted_apart(impute: Any, expected: list[list[float]]) -> None:
    table = read_series(GAPS.encode(), "my.csv", DATED._replace(gaps="fill", impute=impute))
    assert len(table.values) == 24
    assert table.values[[4, 5, 7, 19]].tolist() == expected
    assert table.filled == Filled(rows=3, values=1, places=("2020-01-05", "2020-01-06", "my.csv, line 7, column b"))
    assert table.rows is not None
    assert (table.rows < 0).nonzero()[0].tolist() == [4, 5, 19]


def test_rows_can_only_be_filled_by_times_and_a_rule() -> None:
    for options in (CSVOptions(gaps="fill", impute="zero"), DATED._replace(gaps="fill")):
        with pytest.raises(ValueError, match=r"gaps=fill needs time=, .* and impute="):
            read(TABLE, options)


def test_a_value_missing_before_the_last_steps_does_not_matter() -> None:
    table = Table.parse(b"a,b\n,1\nNA,2\n3,3\n4,4\n5,\n", "my.csv", CSVDialect())
    options = CSVOptions(columns=("a",))
    assert series_of(table, options, last=3).values.tolist() == [[3], [4], [5]]
    with pytest.raises(ValueError, match="line 3, column a: a value is missing"):
        series_of(table, options, last=4)
    assert len(series_of(table, options._replace(impute="forward"), last=9).values) == 5
