"""Files of labelled series: ``.ts`` or ``.arff``, by their suffix or as said."""

from pathlib import Path

from seqmodels.data.formats.archives.arff import arff_cases
from seqmodels.data.formats.archives.cases import CaseFile
from seqmodels.data.formats.archives.ts import ts_cases
from seqmodels.data.formats.files import shown_name, whole_content
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.formats.suffixes import suffix_of

READERS = {"ts": ts_cases, "arff": arff_cases}


def series_format(path: str, given: str | None = None) -> str | None:
    """Return the format of a file, ``ts`` or ``arff``: ``given``, or that of the suffix; None if it is another."""
    suffix = suffix_of(path).removeprefix(".")
    return given if given in READERS else suffix if given is None and suffix in READERS else None


def read_cases(path: str | Path, given: str | None = None) -> CaseFile:
    """Split a file, plain or ``.gz``, into its cases; ``-`` reads standard input.

    Args:
        path: path of the file.
        given: ``ts`` or ``arff``; by default, the suffix tells.

    Raises:
        ValueError: the file cannot be read, has another suffix or invalid content; the message names the file and line.
    """
    kind = series_format(str(path), given)
    if kind is None:
        raise ValueError(f"{path}: a file of series must end in .ts or .arff, plain or with .gz")
    return case_file(whole_content(path), shown_name(path), kind)


def case_file(content: bytes, name: str, kind: str) -> CaseFile:
    """Split the content of a file into its cases; ``name`` is used in error messages.

    Raises:
        ValueError: invalid content; the message names the line.
    """
    return READERS[kind](decoded(content, name), name)
