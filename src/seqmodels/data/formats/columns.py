"""Columns of a table as numbers."""

import logging
import math
import re
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from seqmodels.data.formats.gaps import Numbers
from seqmodels.data.formats.numbers import parsed_number
from seqmodels.data.formats.table import Table

log = logging.getLogger("seqmodels")

MISSING = frozenset(("", "na", "n/a", "<na>", "nan", "null", "none", "?", "-"))  # in lower case
EXCEL_ERRORS = frozenset(("#n/a", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"))


def is_missing(cell: str) -> bool:
    """Return whether a cell stands for a missing value: it is empty, ``NA``, ``?``, an error of Excel, ..."""
    return cell.strip().lower() in MISSING or cell.strip().lower() in EXCEL_ERRORS


def parsed_column(table: Table, column: str) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the numbers of a column, ``(rows,)``, and which of them are missing.

    Raises:
        ValueError: there is no such column, or a cell is neither a finite number nor missing.
    """
    index = table.index(column)
    values = np.array([parsed_number(row.cells[index], table.dialect.decimal) for row in table.rows])
    missing = np.zeros(len(values), bool)
    for row in (~np.isfinite(values)).nonzero()[0].tolist():
        cell = table.rows[row].cells[index]
        missing[row] = is_missing(cell)
        if not missing[row]:
            place = table.place(row, column)
            raise ValueError(f"{place}: must be a finite number, got {cell!r}{_hint(cell)}{table.hint}")
    return values, missing


def numeric_columns(table: Table, others: Collection[str]) -> tuple[str, ...]:
    """Return the columns that contain numbers, in order; those with words or without any value are logged.

    Args:
        table: the whole table.
        others: columns to leave out without a word, such as that of the time.

    Raises:
        ValueError: at least half of the values of a column are numbers, but not all; or no column contains numbers.
    """
    found: list[str] = []
    words: list[str] = []
    empty: list[str] = []
    reason = ""
    for column in table.columns:
        if column in others:
            continue
        try:
            (empty if parsed_column(table, column)[1].all() else found).append(column)
        except ValueError as error:
            if _is_mostly_numbers(table, column):
                raise
            reason = reason or f": {error}"
            words.append(column)
    for what, columns in (("words", words), ("no values", empty)):
        if columns and found:
            log.info("%s: columns left out, as they contain %s: %s", table.name, what, ", ".join(columns))
    if not found:
        raise ValueError(f"{table.name} has no column with numbers beside the time{reason or table.hint}")
    return tuple(found)


def _is_mostly_numbers(table: Table, column: str) -> bool:
    cells = [cell for cell in table.cells(column) if not is_missing(cell)]
    numbers = sum(math.isfinite(parsed_number(cell, table.dialect.decimal)) for cell in cells)
    return 2 * numbers >= len(cells)


def _hint(cell: str) -> str:
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", cell.strip()):
        return "; write numbers without separators of thousands (if it is a decimal comma: train with data.decimal=',')"
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d*", cell.strip()):
        return "; write numbers without separators of thousands, and train with data.decimal=','"
    return (
        "; if it is a decimal comma: train with data.decimal=','" if re.fullmatch(r"[+-]?\d+,\d+", cell.strip()) else ""
    )
