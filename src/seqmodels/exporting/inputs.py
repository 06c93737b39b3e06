"""Records from what is at hand in Python: texts, arrays, tables, paths."""

import os
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from typing import Any

from seqmodels.data import Preprocessing
from seqmodels.data.formats.parquet import as_written
from seqmodels.data.formats.records import Record


def records_of(data: Any, preprocessing: Preprocessing, format: str | None = None) -> Iterator[Record]:
    """Yield the records of data.

    Args:
        data: path of a file or folder, read as in training; or a table with ``columns``, such as a pandas DataFrame,
            with the columns of a file; or a sequence of texts, arrays or records.
        preprocessing: that of the model, which says what an array or text is to it.
        format: of a file, if its name does not tell.

    Raises:
        TypeError: ``data`` is none of these, or the model reads other things.
        ValueError: ``format`` is given for something that is no file, or the file cannot be read.
    """
    if isinstance(data, str | PathLike):
        if not os.path.exists(data):  # noqa: PTH110  (a long text is no path, at which Path.exists fails)
            raise ValueError(f"{fspath(data):.100} cannot be read: there is no such file; a single text goes in a list")
        return preprocessing.read(fspath(data), format)
    if format is not None:
        raise ValueError(f"format={format!r} is for files, got {type(data).__name__}")
    if (columns := table_columns(data)) is not None:
        return preprocessing.of_rows(_rows(columns))
    if isinstance(data, Mapping) or not isinstance(data, Iterable):
        raise TypeError(
            f"data must be a path, a table or a list of texts, arrays or records, got {type(data).__name__}"
        )
    return (
        Record(f"item {number}", dict(preprocessing.fields_of(value))) for number, value in enumerate(data, start=1)
    )


def table_columns(data: Any) -> dict[str, list[Any]] | None:
    """Return the columns of a table, a DataFrame of pandas or polars or a Table of pyarrow; None if it is none.

    Example:
        >>> table_columns(["a text"]) is None
        True
    """
    if hasattr(data, "to_pydict"):  # pyarrow
        return {str(name): list(values) for name, values in data.to_pydict().items()}
    if not (hasattr(data, "columns") and hasattr(data, "__getitem__")):
        return None
    return {str(name): list(data[name]) for name in data.columns}


def _rows(columns: Mapping[str, list[Any]]) -> Iterator[Record]:
    """Yield the rows of a table as they would stand in a CSV file."""
    for number, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        yield Record(f"row {number}", dict(zip(columns, map(as_written, cells), strict=True)))
