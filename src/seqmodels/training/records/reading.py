"""What a run leaves in its folder, as plain values; damaged files are named, and the others are read."""

import csv
import re
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from seqmodels.config.changes import leaves
from seqmodels.errors import ConfigError
from seqmodels.system.json_text import read_json
from seqmodels.training.records.folders import METRICS, is_running, last_change, size_of

Content = TypeVar("Content")
Metrics = dict[str, float | None]

FINISHED, RUNNING, INTERRUPTED, FAILED = "finished", "running", "interrupted", "failed"
MAX_KEYS = 10_000  # of a configuration; aliases of YAML can make endless ones
TAIL = 65_536  # bytes at the end of a log, which may be long
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the former is ten times as fast, where libyaml is there

PLAIN = (str, int, float, bool, list, dict, type(None))  # YAML also has dates

_RECORD = re.compile(r"^\[\d{4}-\d\d-\d\d [\d:,]+\]\[[^\]]*\]\[(\w+)\]", flags=re.MULTILINE)


class Run(NamedTuple):
    """A run as its folder shows it.

    ``config`` has the values of the resolved configuration by dotted key, ``choices`` the option of each group, and
    ``typed`` the overrides of the command line as they were typed. A metric that is not a number is None.
    """

    folder: Path
    config: dict[str, Any]
    choices: dict[str, str]
    typed: dict[str, str]
    metrics: Metrics
    epochs: float | None
    best_epoch: float | None
    state: str
    damaged: tuple[str, ...]  # names of files
    changed: float  # seconds since 1970
    size: int  # bytes


def read_run(folder: Path) -> Run:
    """Read the folder of a run; files that are missing have no values, those that cannot be read are ``damaged``."""
    damaged: list[str] = []

    def read(name: str, parse: Callable[[Path], Content], default: Content) -> Content:
        path = folder / name
        try:
            return parse(path) if path.is_file() else default
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, yaml.YAMLError):
            damaged.append(name)
            return default

    config = read("config.yaml", _config, dict[str, Any]())
    choices, typed = read(".hydra/hydra.yaml", _choices, (dict[str, str](), dict[str, str]()))
    metrics = read(METRICS, _metrics, Metrics())
    return Run(
        folder,
        config,
        choices,
        typed,
        metrics,
        epochs=metrics.get("epochs") or read("metrics.csv", _epochs, None),
        best_epoch=metrics.get("best/epoch"),
        state=_state(folder),
        damaged=tuple(damaged),
        changed=last_change(folder),
        size=size_of(folder),
    )


def as_text(value: Any) -> str:
    """Return a value of a configuration as text; nothing for null, which a key that is missing equals.

    Example:
        >>> as_text(None), as_text(True), as_text([128, 64]), as_text(0.001)
        ('', 'true', '[128,64]', '0.001')
    """
    if value is None or value == {}:
        return ""
    if isinstance(value, list):
        return f"[{','.join(map(as_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _config(path: Path) -> dict[str, Any]:
    found = dict(islice(leaves(_mapping(path)), MAX_KEYS + 1))
    if len(found) > MAX_KEYS:
        raise ConfigError(f"{path} has more than {MAX_KEYS} keys")
    return {key: value if isinstance(value, PLAIN) else str(value) for key, value in found.items()}


def _choices(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the option of each group, and the overrides as they were typed."""
    node = _mapping(path)["hydra"]
    lines = [str(line).lstrip("+~") for line in node["overrides"]["task"]]
    typed = dict(line.partition("=")[::2] for line in lines)
    chosen = {key: value for key, value in node["runtime"]["choices"].items() if "/" not in key}
    return {key: as_text(value) for key, value in chosen.items()}, typed


def _mapping(path: Path) -> dict[str, Any]:
    found = yaml.load(path.read_bytes(), LOADER)  # noqa: S506  (a safe loader)
    if not isinstance(found, dict):
        raise ConfigError(f"{path} must hold keys and values")
    return found


def _metrics(path: Path) -> Metrics:
    found = read_json(path)
    if not isinstance(found, Mapping):
        raise ConfigError(f"{path} must hold keys and values")
    return {name: value for name, value in found.items() if value is None or isinstance(value, int | float)}


def _epochs(path: Path) -> float | None:
    """Return the number of epochs in a log of metrics, by its last row that has a loss."""
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader([file.readline()]), [])
    rows = csv.DictReader(_tail(path).splitlines()[1:], header)
    epochs = [row["epoch"] for row in rows if row.get("epoch") and (row.get("train/loss") or row.get("val/loss"))]
    return int(epochs[-1]) + 1 if epochs else None


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read().decode("utf-8", "replace")


def _state(folder: Path) -> str:
    """Return the state of a run, as far as files tell: the log of a failed one ends with its error."""
    if is_running(folder):
        return RUNNING
    if (folder / METRICS).is_file():
        return FINISHED
    log = folder / "train.log"
    levels = _RECORD.findall(_tail(log)) if log.is_file() else []
    return FAILED if levels[-1:] == ["ERROR"] else INTERRUPTED
