"""Parquet files hold what a CSV file of the same rows holds."""

import io
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from seqmodels.data.formats.parquet import ROWS, read_parquet, write_parquet
from seqmodels.data.formats.records import read_records
from seqmodels.data.formats.table import CSVDialect, Table

pytest.importorskip("pyarrow")
DAYS = [
    {"day": date(2024, 1, 31), "shop": "anna", "sales": 1.5},
    {"day": date(2024, 2, 1), "shop": "béa", "sales": None},
]
TEXT = "day,shop,sales\n2024-01-31,anna,1.5\n2024-02-01,béa,\n"


def packed(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    write_parquet(rows, sink)
    return sink.getvalue()


def test_records_are_those_of_the_csv_file() -> None:
    found = read_records(io.BytesIO(packed(DAYS)), "x.parquet", "parquet")
    expected = read_records(io.BytesIO(TEXT.encode()), "x.csv", "csv")
    assert [record.fields for record in found] == [record.fields for record in expected]


def test_a_table_is_that_of_the_csv_file() -> None:
    found = Table.parse(packed(DAYS), "x.parquet", CSVDialect())
    expected = Table.parse(TEXT.encode(), "x.csv", CSVDialect())
    assert found.columns == expected.columns
    assert [row.cells for row in found.rows] == [row.cells for row in expected.rows]
    assert found.rows[1].place == "x.parquet, row 2"


def test_many_rows_and_lists_come_back(tmp_path: Path) -> None:
    rows = [{"row": number, "values": [number / 2, 1.0]} for number in range(ROWS + 3)]
    with (tmp_path / "x.parquet").open("wb") as sink:
        write_parquet(iter(rows), sink)
    with (tmp_path / "x.parquet").open("rb") as source:
        found = list(read_parquet(source, "x"))
    assert found == [{"row": str(row["row"]), "values": row["values"]} for row in rows]


def test_what_is_no_parquet_is_named() -> None:
    with pytest.raises(ValueError, match=r"x.parquet is not a Parquet file"):
        list(read_parquet(io.BytesIO(b"a,b\n1,2\n"), "x.parquet"))
