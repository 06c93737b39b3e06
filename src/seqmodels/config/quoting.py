"""Quote values for Hydra's override grammar."""

import re
from collections.abc import Mapping
from typing import Any

PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
CONSTANTS = ("null", "true", "false", "inf", "nan")


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
