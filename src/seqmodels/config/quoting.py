"""Quote values for Hydra's override grammar."""

import re
from collections.abc import Mapping
from typing import Any

PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
CONSTANTS = ("null", "true", "false", "inf", "nan")


PATHS = ("run", "resume", "input", "output")


def literal_paths(tokens: list[str]) -> list[str]:
    """Quote the folders and files of a command line that are typed as they are, with spaces, commas or apostrophes.

    Values that begin with a quote, and interpolations, are left to Hydra's grammar.

    Example:
        >>> literal_paths(["run=/home/o'brien/a, b", "run='x'", "cell=gru"])
        ["run='/home/o\\\\'brien/a, b'", "run='x'", 'cell=gru']
    """

    def literal(token: str) -> str:
        key, equals, value = token.partition("=")
        return f"{key}={quoted(value)}" if equals and key in PATHS and value[:1] not in ("'", '"', "$", "") else token

    return [literal(token) for token in tokens]


def quoted(value: Any) -> str:
    """Return a value as command-line text that Hydra parses back to the same value.

    Example:
        >>> quoted("/home/o'brien/a=1, b"), quoted([1, None, "x"])
        ("'/home/o\\\\'brien/a=1, b'", '[1,null,x]')
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(quoted(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{quoted(item)}' for key, item in value.items())}}}"
    if not isinstance(value, str) or (PLAIN_WORD.fullmatch(value) and value.lower() not in CONSTANTS):
        return str(value)
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), value)
    return f"'{escaped}'"  # a backslash is special to Hydra only before a quote
