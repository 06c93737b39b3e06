"""Series in CSV: what is read, and what is refused with its line and column."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data.formats.series_table import CSVOptions, read_series
from seqmodels.data.formats.table import CSVDialect

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
        (TABLE.replace("4e2", ""), r"line 3, column b: a value is missing \(''\); data.impute="),
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
