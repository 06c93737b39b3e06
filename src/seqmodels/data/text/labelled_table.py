"""Labelled texts in tables."""

from seqmodels.data.formats.table import Column, Columns, CSVDialect, Table, names_of
from seqmodels.data.raw import LabelledTexts


def parse_table(
    content: bytes,
    name: str,
    text: Columns,
    label: Column,
    form: CSVDialect,
    *,
    separator: str | None = None,
) -> LabelledTexts:
    """Return the texts and labels of a table.

    Args:
        content: bytes of the file.
        name: its name in error messages.
        text: text column; several columns are joined with a space.
        label: label column.
        form: format of the file.
        separator: separates the labels of a row, which may then have none; if None, each row has exactly one.

    Raises:
        ValueError: the file has another encoding or lacks a column, or a row has too few or too many fields or no
            label; the message names the line.
    """
    table = Table.parse(content, name, form)
    texts, target = [table.index(column) for column in names_of(text)], table.index(label)
    return LabelledTexts(
        [" ".join(row.cells[index] for index in texts) for row in table.rows],
        [labels_of(row.cells[target], separator, f"{row.place}, column {label!r}") for row in table.rows],
        [row.place for row in table.rows],
        names_of(text),
        table.dialect,
        str(label),
        separator,
    )


def labels_of(field: str, separator: str | None, place: str) -> str | tuple[str, ...]:
    """Return the label of a field, or with a ``separator`` the labels, without repetitions.

    Raises:
        ValueError: without a ``separator``, the field is empty.
    """
    if separator is not None:
        return tuple(dict.fromkeys(label for part in field.split(separator) if (label := part.strip())))
    if not field.strip():
        raise ValueError(f"{place}: there is no label")
    return field.strip()
