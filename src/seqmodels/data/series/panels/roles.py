"""The role of each column of a table of series, and encoding of words as numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seqmodels.data.formats.columns import is_missing, numeric_columns
from seqmodels.data.formats.numbers import parsed_number
from seqmodels.data.formats.table import Row, Table

Categories = Mapping[str, Sequence[str]]
"""The values of each column with words, as ordered in the input of the network."""


class Roles(NamedTuple):
    """What the columns of a long table are to a forecast.

    Example:
        >>> Roles(target=("sales",), future=("promo",)).inputs({"promo": ("no", "yes")})
        (('sales',), (), ('promo=no', 'promo=yes'))
    """

    target: tuple[str, ...] | None = None
    """Columns to forecast; None: all with numbers that have no other role."""
    features: tuple[str, ...] = ()
    """Columns that are only read, up to the time of the forecast."""
    future: tuple[str, ...] = ()
    """Columns that are also known at the time that is forecast."""
    static: tuple[str, ...] = ()
    """Columns with one value per group."""
    group: tuple[str, ...] = ()
    """Columns whose values say to which series a row belongs."""

    def check(self) -> None:
        """Raise ``ValueError`` if a column has two roles."""
        seen: dict[str, str] = {}
        for role, columns in self._asdict().items():
            for column in columns or ():
                if column in seen and seen[column] != role:
                    raise ValueError(f"data.{role}: the column {column!r} cannot also be in data.{seen[column]}")
                if column in seen:
                    raise ValueError(f"data.{role} names the column {column!r} twice")
                seen[column] = role
        if self.static and not self.group:
            raise ValueError("data.static needs data.group, the column that says to which series a row belongs")

    def settled(self, table: Table, time: Sequence[str]) -> "Roles":
        """Return the roles with the columns to forecast of a table.

        Raises:
            ValueError: the table lacks a column, or there is nothing to forecast.
        """
        for role, columns in self._asdict().items():
            for column in columns or ():
                if column not in table.columns:
                    try:
                        table.index(column)
                    except ValueError as error:
                        raise ValueError(f"data.{role}: {error}") from None
                if column in time:
                    raise ValueError(f"data.{role}: the column {column!r} cannot also be the time")
        if self.target is not None:
            return self
        others = (*time, *self.features, *self.future, *self.static, *self.group)
        if set(table.columns) <= set(others):
            raise ValueError(f"{table.name}: every column has another role: there is nothing to forecast")
        return self._replace(target=numeric_columns(table, others))

    def inputs(self, categories: Categories) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Return the names of the numbers that are read of each step: targets, features and those known ahead."""
        features, future = (expanded(columns, categories) for columns in (self.features, self.future))
        return self.target or (), features, future


def expanded(columns: Sequence[str], categories: Categories) -> tuple[str, ...]:
    """Return the names of columns as numbers: a column with words has one for each of its values."""
    return tuple(
        name
        for column in columns
        for name in ([f"{column}={value}" for value in categories[column]] if column in categories else [column])
    )


def categories_in(table: Table, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values, in alphabetical order, of each of the columns that contain words rather than numbers.

    Raises:
        ValueError: a column contains numbers with another decimal separator.
    """
    found: dict[str, tuple[str, ...]] = {}
    for column in columns:
        values = {cell for cell in table.cells(column) if not is_missing(cell)}
        if not values or not all(math.isnan(parsed_number(value, table.dialect.decimal)) for value in values):
            continue
        other = "," if table.dialect.decimal == "." else "."
        if not any(math.isnan(parsed_number(value, other)) for value in values):
            raise ValueError(
                f"{table.name}, column {column}: its numbers have {other!r} as decimal separator, but data.decimal is "
                f"{table.dialect.decimal!r}"
            )
        found[column] = tuple(sorted(values))
    return found


def encoded(table: Table, categories: Categories) -> Table:
    """Return the table with a further column, of 0 and 1, for each value of the columns with words.

    A missing value, or one that is not among the categories, is 0 in all of them.
    """
    if not categories:
        return table
    new = expanded(list(categories), categories)
    for name in new:
        if name in table.columns:
            raise ValueError(f"{table.name}: rename the column {name!r}, which is also a name for a category")
    sources = [(table.index(column), value) for column, values in categories.items() for value in values]
    rows = [
        Row(place, [*cells, *("1" if cells[index].strip() == value else "0" for index, value in sources)])
        for place, cells in table.rows
    ]
    return table._replace(columns=(*table.columns, *new), rows=rows)


def unseen(table: Table, categories: Categories) -> dict[str, int]:
    """Return how many cells of a column have a value that is not among its categories; only columns with some."""
    counts = {
        column: sum(not is_missing(cell) and cell not in values for cell in table.cells(column))
        for column, values in categories.items()
    }
    return {column: count for column, count in counts.items() if count}
