"""What may follow on a command line: groups, their options, keys, values. Nothing here imports torch."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hydra.core.override_parser.types import Override

from seqmodels.config.compose import composer, parse, search_folders
from seqmodels.config.explaining import options_of
from seqmodels.config.help.keys import Key, keys_of, parts, read_keys, text_of
from seqmodels.config.help.printing import GROUPS, groups_of, title_of
from seqmodels.config.hydra_internals import Hydra, flags
from seqmodels.config.quoting import PATHS, literal_values
from seqmodels.errors import ConfigError

Candidates = Iterator[tuple[str, str]]
MARKS = "+~"  # what may precede a key
SPECIAL = {
    "run": ("latest", "best:"),
    "resume": ("auto",),
    "ckpt": ("best", "last", "refit"),
    "refit": ("all",),
    "accelerator": ("cpu", "gpu", "auto"),
}
"""Values that a comment lists."""
NO_PATHS = ("delimiter", "separator", "decimal", "date_format", "timezone")


def candidates(command: str, words: Sequence[str]) -> list[tuple[str, str]]:
    """Return the words that may stand in the place of the last one, each with its description.

    A word that ends in ``=``, ``.`` or ``/`` is a beginning: its values, keys or files can be completed next.

    Args:
        command: name of the configuration.
        words: those behind the command; the last one, maybe empty, is completed.

    Example:
        >>> [word for word, _ in candidates("train", ["data=csv_series", "data.ti"])]
        ['data.time=', 'data.timezone=']
    """
    *before, word = words
    if before and before[-1] == "--config-dir":
        return [(path, "") for path in files(word)]
    if word.startswith("-"):
        return [(flag, "") for flag in flags() if flag.startswith(word)]
    mark = word[: len(word) - len(word.lstrip(MARKS))]
    key, equals, value = word.removeprefix(mark).partition("=")
    line = _Line(command, before)
    with composer(line.config_dir, line.folders) as hydra:
        found = _values(hydra, line, key, value) if equals else _names(hydra, line, key)
        start, end = word.removeprefix(mark), "=" if mark == "~" else ""
        return sorted({(mark + each.removesuffix(end), text) for each, text in found if each.startswith(start)})


class _Line:
    """The words before the one that is completed, as far as they can be read."""

    def __init__(self, command: str, words: Sequence[str]) -> None:
        self.command = command
        self.overrides: list[Override] = []
        self.config_dir: str | None = None
        for before, word in zip(["", *words], words, strict=False):
            if before == "--config-dir" or word.startswith("-"):
                self.config_dir = word if before == "--config-dir" else self.config_dir
                continue
            with suppress(ConfigError):  # a word that is not an override
                self.overrides += parse(literal_values([word]))
        self.folders = search_folders(self.overrides)

    def keys(self, hydra: Hydra) -> list[Key]:
        """Return the keys that can be set: those of the chosen groups, or those of the run that is evaluated."""
        if self.command not in GROUPS:
            runs = [str(override.value()) for override in self.overrides if override.key_or_group == "run"]
            config = Path(runs[-1] if runs and self.command == "evaluate" else "", "config.yaml")
            own = read_keys(text_of(hydra, self.command))
            return own + (read_keys(config.read_text("utf-8")) if runs and config.is_file() else [])
        chosen = [override for override in self.overrides if options_of(hydra, override.key_or_group)]
        return keys_of(hydra, parts(hydra, self.command, [str(each.input_line).lstrip("+") for each in chosen]))


def _names(hydra: Hydra, line: _Line, start: str) -> Candidates:
    """Yield groups and keys, those inside a node only when its name is complete."""
    if line.command in GROUPS:
        yield from ((f"{group}=", "") for group in groups_of(hydra))
    place, dot, _ = start.rpartition(".")
    for key in line.keys(hydra):
        if key.name.startswith(place + dot):
            name, inner, _ = key.name.removeprefix(place + dot).partition(".")
            yield (f"{place}{dot}{name}.", "") if inner else (f"{key.name}=", key.comment)


def _values(hydra: Hydra, line: _Line, key: str, value: str) -> Candidates:
    """Yield the options of a group, files for a path, or else what is known of the values of a key."""
    options = options_of(hydra, key)
    if options:
        head = re.split(r"(?<=[\[,])", value)[-1]  # several options: [csv,tensorboard], or gru,lstm for a multirun
        start = f"{key}={value.removesuffix(head)}"
        yield from ((f"{start}{option}", title_of(text_of(hydra, f"{key}/{option}"))) for option in options)
        return
    known = {each.name: each.default for each in line.keys(hydra)}
    name = key.rpartition(".")[2]
    default = known.get(key, "null")
    values = ["true", "false"] if default in ("true", "false") else [*SPECIAL.get(name, ())]
    if key in PATHS and name not in NO_PATHS:
        values += files(value)
    elif not values and default not in ("null", "???") and "${" not in default:
        values = [default]
    yield from ((f"{key}={each}", "") for each in values)


def files(start: str) -> list[str]:
    """Return the files and folders whose path begins with ``start``; a folder ends with a slash."""
    folder, slash, name = start.rpartition("/")
    try:
        found = sorted(Path(folder + slash or ".").iterdir())
    except OSError:
        return []
    visible = [path for path in found if path.name.startswith(name) and (name or not path.name.startswith("."))]
    return [f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}" for path in visible]
