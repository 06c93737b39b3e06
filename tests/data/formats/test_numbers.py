"""Delimited numbers."""

import random

import pytest
import torch

from seqmodels.data.formats.numbers import parse_numbers


def test_rows_read_as_written() -> None:
    table = parse_numbers("1,2.5,-3\n\n4e1, 5 ,6\r\n", "table")
    assert table.tolist() == [[1, 2.5, -3], [40, 5, 6]]
    assert table.dtype == torch.float64


def test_another_delimiter_is_another_delimiter() -> None:
    assert parse_numbers("1;2\n3;4", "table", delimiter=";").tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no rows"),
        ("1,2\n3\n", "line 2: 1 columns, the lines before have 2"),
        ("1,2\n3,x\n", "line 2, column 2: must be a finite number, got 'x'"),
        ("1,\n", "line 1, column 2"),
        ("1,nan\n", "line 1, column 2"),
        ("inf,1\n", "line 1, column 1"),
        ("1_000,1\n", "line 1, column 1"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused_by_line_and_column(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"table.*{reason}"):
        parse_numbers(text, "table")


def test_random_text_is_read_or_refused_by_name() -> None:
    draw = random.Random(0)
    for _ in range(500):
        text = "".join(draw.choice("0123456789.,-e\n\r x_\0\u0663") for _ in range(draw.randrange(20)))
        try:
            table = parse_numbers(text, "fuzzed")
        except ValueError as error:
            assert str(error).startswith("fuzzed")  # noqa: PT017
        else:
            assert table.isfinite().all()
