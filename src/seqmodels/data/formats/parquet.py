"""Parquet files, read and written with pyarrow (the extra ``parquet``)."""

import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from importlib import import_module
from itertools import chain, islice
from typing import IO, Any

ROWS = 4096  # rows in memory at a time
MISSING = ("None", "nan", "NaT", "<NA>")  # how what is no value is written by Python, numpy and pandas


def read_parquet(stream: IO[bytes], name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file as they would stand in a CSV file: values as text, a null as an empty text.

    Lists keep their values.

    Raises:
        ImportError: pyarrow is not installed.
        ValueError: it is not a Parquet file; the message names it.
    """
    parquet = _pyarrow("pyarrow.parquet")
    try:
        file = parquet.ParquetFile(stream if stream.seekable() else io.BytesIO(stream.read()))
    except (ValueError, OSError) as error:  # pyarrow's errors are both
        raise ValueError(f"{name} is not a Parquet file: {error}") from error
    for batch in file.iter_batches(ROWS):
        yield from ({column: as_written(value) for column, value in row.items()} for row in batch.to_pylist())


def write_parquet(rows: Iterable[Mapping[str, Any]], sink: IO[bytes]) -> None:
    """Write rows; their types are those of the first :data:`ROWS`.

    Raises:
        ImportError: pyarrow is not installed.
        ValueError: a later value has another type.
    """
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    remaining = iter(rows)
    chunks = iter(lambda: [dict(row) for row in islice(remaining, ROWS)], [])
    first = next(chunks, None)
    if first is None:
        return
    schema = arrow.Table.from_pylist(first).schema
    with parquet.ParquetWriter(sink, schema) as writer:
        for chunk in chain([first], chunks):
            writer.write_table(arrow.Table.from_pylist(chunk, schema=schema))


def as_written(value: Any) -> Any:
    """Return a value as it would stand in a CSV file: a missing one is an empty text, a list stays one.

    Example:
        >>> as_written(float("nan")), as_written(0.5), as_written(date(2024, 1, 31)), as_written([1, 2])
        ('', '0.5', '2024-01-31', [1, 2])
    """
    if isinstance(value, str | list):
        return value
    if getattr(value, "ndim", 0):  # an array in a cell of a DataFrame
        return value.tolist()
    text = value.isoformat() if isinstance(value, datetime | date) else str(value)
    return "" if text in MISSING else text


def _pyarrow(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install 'seqmodels[parquet]'") from error
