"""Tables of runs that fit a line: the columns that matter most are shown, the others named."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.table import Table

from seqmodels.commands.tables import number
from seqmodels.training.records.reading import as_text
from seqmodels.training.records.spread import Spread

MAX_WIDTH = 100  # of a table; wider ones are hard to read, also in a file or a pipe
MAX_VALUE = 30  # characters of a value in a line; longer ones are folded
BORDER = 3  # characters between two columns

Metric = float | Spread | None


class Column(NamedTuple):
    """A column of a table. Those of a lower ``rank`` get their room first; rank 0 is always shown."""

    name: str
    cells: Sequence[str]
    rank: int
    right: bool = False
    max_width: int = MAX_VALUE

    @property
    def width(self) -> int:
        return BORDER + min(self.max_width, max(map(cell_len, (self.name, *self.cells))))


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that fit a line, in their order; of each rank, the first ones that do."""
    room, shown = width - 1, []
    for rank in sorted({column.rank for column in columns}):
        for column in (column for column in columns if column.rank == rank):
            if rank and column.width > room:
                break
            room -= column.width
            shown.append(column)
    return [column for column in columns if column in shown]


def table_of(columns: Iterable[Column], title: str | None = None) -> Table:
    """Return a table of columns of equal length."""
    table, columns = Table(title=title), [*columns]
    for column in columns:
        justify = "right" if column.right else "left"
        table.add_column(column.name, justify=justify, overflow="fold", max_width=column.max_width)  # type: ignore[arg-type]
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def metric_columns(rows: Sequence[Mapping[str, Metric]], names: Sequence[str], first: int) -> list[Column]:
    """Return a column for each metric: the first ones of rank 0, the others of rank 9."""
    return [
        Column(name, [metric_text(row[name]) if name in row else "" for row in rows], 0 if index < first else 9, True)
        for index, name in enumerate(names)
    ]


def metric_text(value: Metric) -> str:
    """Return a metric, or its mean and deviation, as text."""
    return str(value) if isinstance(value, Spread) else number(value)


def value_text(value: object) -> str:
    """Return a value of a configuration as it is shown: numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else as_text(value)


def age(seconds: float) -> str:
    """Return a time in its largest unit.

    Example:
        >>> age(59), age(3 * 3600 + 1), age(400 * 86400)
        ('59 s', '3 h', '400 d')
    """
    units = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]
    name, length = next((unit for unit in units if seconds >= unit[1]), units[-1])
    return f"{max(0, seconds) // length:.0f} {name}"


def size(count: int) -> str:
    """Return a number of bytes in its largest unit.

    Example:
        >>> size(999), size(63_049), size(1_234_567)
        ('999 B', '63 kB', '1.2 MB')
    """
    for name, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{count / length:.{int(count < 10 * length)}f} {name}"
    return f"{count} B"
