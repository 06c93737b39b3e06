"""Texts and series as scikit-learn's users have them, as lists and as files that the command line reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodels.data.preprocessing import listed
from seqmodels.exporting.inputs import table_columns
from seqmodels.system.durable import write_csv, write_text
from seqmodels.system.json_text import json_text

Series = NDArray[np.float64]


def sequences_of(X: Any) -> list[Any]:
    """Return what is to be learnt from: texts, or series ``(time, channels)``.

    Args:
        X: a list of texts; a list of arrays ``(time, channels)`` or ``(time,)``, which may differ in length; an array
            ``(rows, time, channels)`` or ``(rows, time)``; or a DataFrame with one column of one of these.

    Raises:
        TypeError: it is none of them.
        ValueError: there are no rows, or the message names the row that differs from the first.
    """
    if (columns := table_columns(X)) is not None:
        if len(columns) != 1:
            names = ", ".join(columns)
            raise ValueError(f"a table must have one column, of texts or arrays; choose one of: {names}")
        (X,) = columns.values()
    if isinstance(X, str | Mapping) or not hasattr(X, "__iter__"):
        raise TypeError(f"X must be a list of texts or arrays, got {type(X).__name__}")
    items = list(X)
    if not items:
        raise ValueError("X has no rows")
    if all(isinstance(item, str) for item in items):
        return [str(item) for item in items]
    return [_series(item, row, items) for row, item in enumerate(items)]


def _series(item: Any, row: int, items: Sequence[Any]) -> Series:
    try:
        series: Series = np.asarray(listed(item), dtype=np.float64)
    except (TypeError, ValueError) as error:
        kind = "a text" if isinstance(item, str) else type(item).__name__
        raise TypeError(f"row {row} of X must be an array of numbers (time, channels), got {kind}: {error}") from error
    if series.ndim == 1:
        series = series[:, None]
    if series.ndim != 2 or not series.size:
        raise ValueError(f"row {row} of X must have shape (time, channels), at least one step, got {series.shape}")
    channels = np.shape(items[0])[1] if np.ndim(items[0]) == 2 else 1
    if series.shape[1] != channels:
        raise ValueError(f"row {row} of X has {series.shape[1]} channels, row 0 has {channels}")
    return series


def write_texts(path: Path, texts: Sequence[str], labels: Sequence[Any]) -> None:
    """Write texts with a label each, as a table."""
    write_csv(path, ["text", "label"], list(zip(texts, labels, strict=True)))


def write_series(path: Path, series: Sequence[Series], targets: Sequence[dict[str, Any]]) -> None:
    """Write series, each channel a list, with the target columns of each, as JSON lines."""
    write_lines(
        path,
        [
            {**{f"x{channel}": one[:, channel].tolist() for channel in range(one.shape[1])}, **target}
            for one, target in zip(series, targets, strict=True)
        ],
    )


def write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write records as JSON lines."""
    write_text(path, "".join(json_text(record) + "\n" for record in records))


def check_rows(**parts: Any) -> None:
    """Check that all have as many rows as the first.

    Raises:
        ValueError: one has not.
    """
    counts = {name: len(part) for name, part in parts.items()}
    if len(set(counts.values())) > 1:
        found = " and ".join(f"{number} of {name}" for name, number in counts.items())
        raise ValueError(f"there must be as many rows of each, got {found}")
