"""Parquet files, read and written with pyarrow (the extra ``parquet``)."""

import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from importlib import import_module
from itertools import chain, islice
from typing import IO, Any

ROWS = 4096  # rows in memory at a time


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
        yield from ({column: _written(value) for column, value in row.items()} for row in batch.to_pylist())


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


def _written(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, str | list) else str(value)


def _pyarrow(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install 'seqmodels[parquet]'") from error
