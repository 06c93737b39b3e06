"""The ``.ts`` format of the UCR and UEA archives: tags, then one case per line, with dimensions separated by colons.

A line is ``1.0,2.0,3.0:4.0,5.0,6.0:label``: values of the first dimension over time, then of the second, then the class
(``@classLabel true a b``) or target number (``@targetLabel true``). ``?`` (or ``NaN``) marks a missing value. Cases may
differ in length. Lines that start with ``#`` or ``%`` are comments.
"""

from collections.abc import Iterator

from seqmodels.data.formats.archives.cases import (
    Case,
    CaseFile,
    Missing,
    SeriesFile,
    checked_classes,
    content_lines,
    parse_cases,
)

SWITCHES = ("timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel")
SIZES = ("dimension", "dimensions", "serieslength")


def parse_ts(text: str, name: str, *, missing: Missing = "error") -> SeriesFile:
    """Parse a file in the ``.ts`` format; ``name`` is used in error messages.

    Args:
        missing: as in :func:`~seqmodels.data.formats.archives.cases.parse_cases`.

    Raises:
        ValueError: invalid format, timestamps, or a missing value with ``missing="error"``; the message names the line
            and, if applicable, the dimension.
    """
    return parse_cases(ts_cases(text, name), missing=missing)


def ts_cases(text: str, name: str) -> CaseFile:
    """Split a file in the ``.ts`` format into its cases, whose values are not parsed.

    Raises:
        ValueError: the header is invalid, or says that the series have timestamps; the message names the line.
    """
    lines = content_lines(text, comments=("#", "%"))
    file = _header(lines, name)
    labelled = bool(file.class_names) or file.numeric
    for number, line in lines:
        *parts, label = line.split(":") if labelled else [*line.split(":"), ""]
        file.cases.append(Case(f"{name}, line {number}", parts, label.strip()))
    return file


def _header(lines: Iterator[tuple[int, str]], name: str) -> CaseFile:
    """Read the tags up to ``@data`` from numbered lines."""
    class_names: tuple[str, ...] = ()
    numbers: dict[str, int] = {}
    numeric = False
    for line, content in lines:
        where = f"{name}, line {line}"
        tag, *values = content.split()
        tag = tag.lower()
        if tag == "@data":
            if class_names and numeric:
                raise ValueError(f"{where}: the header says both classes (@classLabel) and numbers (@targetLabel)")
            dimensions = numbers.get("dimensions", numbers.get("dimension"))
            return CaseFile(name, [], class_names, numeric, dimensions, numbers.get("serieslength"))
        if not tag.startswith("@"):
            raise ValueError(f"{where}: a header has tags that start with @ up to @data, got {content[:40]!r}")
        if tag[1:] in SIZES:
            numbers[tag[1:]] = _whole(values, tag, where)
        elif tag[1:] in SWITCHES and _switch(values, tag, where):
            if tag == "@timestamps":
                raise ValueError(f"{where}: series with timestamps are not read; resample them at equal intervals")
            numeric = numeric or tag == "@targetlabel"
            if tag == "@classlabel":
                class_names = checked_classes(values[1:], f"{where}: @classLabel true")
    raise ValueError(f"{name} has no line @data: it is no file of the .ts format")


def _whole(values: list[str], tag: str, where: str) -> int:
    if len(values) != 1 or not values[0].isdecimal() or int(values[0]) < 1:
        raise ValueError(f"{where}: {tag} must be followed by a positive whole number, got {' '.join(values)!r}")
    return int(values[0])


def _switch(values: list[str], tag: str, where: str) -> bool:
    if not values or values[0].lower() not in ("true", "false"):
        raise ValueError(f"{where}: {tag} must be followed by true or false, got {' '.join(values)!r}")
    return values[0].lower() == "true"
