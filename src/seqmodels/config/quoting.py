"""Quote values for Hydra's override grammar."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
CONSTANTS = ("null", "true", "false", "inf", "nan")

PATHS = (
    *("run", "resume", "input", "output", "ckpt", "ckpt_path", "sweep.dir", "hydra.run.dir", "hydra.sweep.dir"),
    "run_name",
    *("paths.data_dir", "paths.log_dir", "paths.output_dir", "data.data_dir", "data.cache_dir"),
    *("data.path", "data.val_path", "data.test_path", "data.images", "data.labels", "data.test_images"),
    *("data.test_labels", "data.delimiter", "data.separator", "data.decimal", "data.date_format", "data.timezone"),
)
"""Keys whose value is a text as it is typed: paths, the name of a run, and what a table is read by."""
LISTS = (
    *("hydra.searchpath", "keep", "data.data_files", "data.time", "data.target", "data.features", "data.future"),
    *("data.static", "data.group", "data.text", "data.label", "data.column", "data.field", "data.id"),
    *("data.columns", "data.channels", "data.exclude", "data.categorical"),
)
"""Keys whose value is such a text or a list of them: names of columns, which may also be numbers, and paths."""
_GRAMMAR = re.compile(r"$|null$|['\"]|.*\$\{")  # already quoted, or an interpolation
_SWEEP = re.compile(r"[a-z_]+\(|.*['\"\[{]")  # choice(...), or values that are quoted or lists


def literal_values(tokens: list[str]) -> list[str]:
    """Quote the paths and names of columns of a command line that are typed as they are, with spaces or parentheses.

    Values that begin with a quote, null and interpolations are left to Hydra's grammar. With ``-m``, commas separate
    the values of a key of ``data``.

    Example:
        >>> literal_values(["run=/home/o'brien/a, b", "run='x'", "cell=gru", "data.target=[T (degC),1]"])
        ["run='/home/o\\\\'brien/a, b'", "run='x'", 'cell=gru', "data.target=['T (degC)',1]"]
    """
    multirun = bool({"-m", "--multirun"} & set(tokens))
    return [_literal(token, multirun) for token in tokens]


def _literal(token: str, multirun: bool) -> str:
    typed, equals, value = token.partition("=")
    key = typed.lstrip("+")
    if not equals or key not in PATHS + LISTS or _GRAMMAR.match(value):
        return token
    if multirun and key.startswith("data."):
        if _SWEEP.match(value):
            return token
        return f"{typed}={','.join(_item(key, part) for part in value.split(','))}"
    if key in LISTS and re.fullmatch(r"\[[^\[\]'\"]*\]", value):
        return f"{typed}=[{','.join(_item(key, part.strip()) for part in value[1:-1].split(',') if part.strip())}]"
    if key in LISTS and value[0] in "[{":
        return token
    return f"{typed}={_item(key, value)}"


def _item(key: str, text: str) -> str:
    """Return one path or name quoted; a column may be a number."""
    return text if key in LISTS and re.fullmatch(r"-?\d+|null", text) else quoted(text)


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
    return _between(value, "'")


def quoted_for_shell(key: str, value: str) -> str:
    """Return an override of a text as it is typed in a shell.

    Example:
        >>> print(quoted_for_shell("data.path", "data (1).csv"))
        'data.path="data (1).csv"'
    """
    return shlex.quote(f"{key}={_between(value, chr(34))}")


def _between(value: str, quote: str) -> str:
    """Return a text between quotes; a backslash is special to Hydra only before a quote."""
    escaped = re.sub(rf"(\\*)({quote}|$)", lambda found: 2 * found[1] + (f"\\{quote}" if found[2] else ""), value)
    return f"{quote}{escaped}{quote}"
