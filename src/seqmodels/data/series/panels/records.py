"""Tables of series from records: the rows of a file together, or each JSON line with lists by itself."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from seqmodels.data.formats.records import Record, readable
from seqmodels.data.formats.series_table import CSVOptions, table_of
from seqmodels.data.formats.table import Row, Table
from seqmodels.data.series.panels.roles import Roles


def holds_lists(record: Record) -> bool:
    """Return whether the fields of a record are lists of steps."""
    return any(isinstance(value, list) for value in record.fields.values())


def tables_in(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield the records of each table: one whose fields are lists of steps by itself, then all others together."""
    rows: list[Record] = []
    for record in records:
        if not record.fields or holds_lists(record):
            yield [record]
        else:
            rows.append(record)
    if rows:
        yield rows


def table_from(records: Sequence[Record], roles: Roles, options: CSVOptions, required: Sequence[str] = ()) -> Table:
    """Return the table of records that :func:`tables_in` yields, of which ``required`` fields must be lists of steps.

    Raises:
        ValueError: records have different fields, or lists of different lengths.
    """
    first = next(readable(records))
    place, fields = first.place, first.fields
    if holds_lists(first):
        return _of_lists(fields, place, roles, options, required)
    rows: list[Row] = []
    for record in readable(records):
        if list(record.fields) != list(fields):
            wanted, got = (", ".join(names) for names in (fields, record.fields))
            raise ValueError(f"{record.place}: must have the fields {wanted}, got {got}")
        rows.append(Row(record.place, ["" if value is None else str(value) for value in record.fields.values()]))
    return Table(place.partition(", line")[0], tuple(fields), rows, options.dialect)


def _of_lists(fields: dict[str, Any], place: str, roles: Roles, options: CSVOptions, required: Sequence[str]) -> Table:
    """Return the steps of a record: a value that is no list holds for all of them.

    With columns that are known ahead, lists of the others may be shorter, and end with missing values.
    """
    for name in (*options.time_columns, *required):
        if not isinstance(fields.get(name), list):
            raise ValueError(f"{place}: the field {name!r} must be a list of steps, got {fields.get(name)!r}")
    steps = max(len(value) for value in fields.values() if isinstance(value, list))
    columns: dict[str, list[Any]] = {}
    for name, value in fields.items():
        if not isinstance(value, list):
            columns[name] = [value] * steps
        elif roles.future and name not in (*roles.future, *options.time_columns):
            columns[name] = [*value, *[None] * (steps - len(value))]
        else:
            columns[name] = value
    return table_of(columns, place, options.dialect)
