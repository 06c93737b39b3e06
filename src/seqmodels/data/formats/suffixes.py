"""The format of a file, by its suffix."""

from pathlib import PurePath
from typing import Literal, get_args

Format = Literal["csv", "tsv", "jsonl", "parquet", "text"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def suffix_of(path: str) -> str:
    """Return the suffix of a file name in lower case; before ``.gz``, if it ends so."""
    return PurePath(path.lower().removesuffix(".gz")).suffix


def format_of(path: str, given: str | None, argument: str = "format") -> Format:
    """Return the format of a file: ``given``, or inferred from its suffix; a pipe (``-``) is lines of text.

    Of a suffix ``.csv.gz``, the first counts.

    Raises:
        ValueError: unknown format.
    """
    if given is not None:
        if given not in get_args(Format):
            raise ValueError(f"{argument} must be one of {', '.join(get_args(Format))}, got {given!r}")
        return given  # type: ignore[return-value]
    if path == "-":
        return "text"
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise ValueError(f"{path}: its suffix says no format (known: {known}); {argument}= says it")
    return SUFFIXES[suffix]
