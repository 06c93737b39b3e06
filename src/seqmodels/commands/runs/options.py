"""The command line of ``seqmodels runs``: names, and options as ``key=value``."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from seqmodels.errors import ConfigError, nearest

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h|d|w)")


class CommandLine(NamedTuple):
    """Names of runs or folders, and the values of the options that were given."""

    names: list[str]
    options: dict[str, str]


def parsed(command: str, tokens: Sequence[str], known: Sequence[str]) -> CommandLine:
    """Separate the options of a command line from names, which may be paths that contain ``=``.

    Raises:
        ConfigError: there is no such option.
    """
    line = CommandLine([], {})
    for token in tokens:
        key, equals, value = token.partition("=")
        if key in known and equals:
            line.options[key] = _unquoted(value)
        elif not equals or Path(token).exists():
            line.names.append(_unquoted(token))
        else:
            raise ConfigError(
                f"{command}: {key} is no option{nearest(key, known)} (options: {', '.join(f'{k}=' for k in known)}; "
                f"'where=[{token}]' chooses runs by their configuration)"
            )
    return line


def choice(options: Mapping[str, str], key: str, among: Sequence[str]) -> str:
    """Return an option that is one of some words, by default the first.

    Raises:
        ConfigError: it is another.
    """
    value = options.get(key, among[0])
    if value not in among:
        raise ConfigError(f"{key}={value}: it must be one of {', '.join(among)}{nearest(value, among)}")
    return value


def whole_number(options: Mapping[str, str], key: str, default: int | None) -> int | None:
    """Return an option that is a whole number of at least 1, or None for ``null``.

    Raises:
        ConfigError: it is something else.
    """
    value = options.get(key)
    if value is None or value == "null":
        return default if value is None else None
    if not value.isdecimal() or int(value) < 1:
        raise ConfigError(f"{key}={value}: it must be a whole number of at least 1, or null for all")
    return int(value)


def duration(options: Mapping[str, str], key: str) -> float | None:
    """Return an option that is a duration, such as ``30d``, in seconds.

    Raises:
        ConfigError: it is something else.
    """
    value = options.get(key)
    if value is None:
        return None
    found = _DURATION.fullmatch(value)
    if found is None:
        raise ConfigError(f"{key}={value}: it must be a duration such as 90min, 12h, 30d or 2w")
    return float(found[1]) * SECONDS[found[2]]


def items(text: str) -> list[str]:
    """Return the items of a list ``[a,b]``, or of one without brackets; lists within are left whole.

    Example:
        >>> items("[cell=gru,model.hidden_sizes=[128,64]]"), items("test/f1"), items("")
        (['cell=gru', 'model.hidden_sizes=[128,64]'], ['test/f1'], [])
    """
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    parts, depth = [""], 0
    for letter in inner:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _unquoted(text: str) -> str:
    """Return a text without the quotes that Hydra's commands would need around it."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
