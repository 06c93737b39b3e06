"""Purely numeric delimited text."""

import math

import torch
from torch import Tensor


def parsed_number(cell: str, decimal: str = ".") -> float:
    """Return the number in a cell, which may be infinite; NaN if it is not a number."""
    if "_" in cell or (decimal != "." and "." in cell):  # only Python accepts 1_000 as a number
        return math.nan
    try:
        return float(cell if decimal == "." else cell.replace(decimal, "."))
    except ValueError:
        return math.nan


def parse_numbers(text: str, name: str, *, delimiter: str = ",") -> Tensor:
    """Return a float64 tensor ``(rows, columns)``; blank lines are skipped, ``name`` is used in error messages.

    Raises:
        ValueError: no rows, a row differs from the first in its number of columns, or a cell is not a finite number.
    """
    rows: list[list[float]] = []
    for line, text_line in enumerate(text.splitlines(), start=1):
        if not text_line.strip():
            continue
        cells = text_line.split(delimiter)
        if rows and len(cells) != len(rows[0]):
            raise ValueError(f"{name}, line {line}: {len(cells)} columns, the lines before have {len(rows[0])}")
        rows.append(_finite(cells, name, line))
    if not rows:
        raise ValueError(f"{name} has no rows")
    return torch.tensor(rows, dtype=torch.float64)


def _finite(cells: list[str], name: str, line: int) -> list[float]:
    numbers = [parsed_number(cell) for cell in cells]
    if not all(map(math.isfinite, numbers)):
        column = next(index for index, number in enumerate(numbers) if not math.isfinite(number))
        raise ValueError(f"{name}, line {line}, column {column + 1}: must be a finite number, got {cells[column]!r}")
    return numbers
