"""What differs between the configurations of runs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from seqmodels.config.changes import is_changeable, is_copy
from seqmodels.training.records.reading import Run, as_text

OF_THE_FOLDER = (  # keys that say where a run is, not what it computes
    *("paths*", "logger*", "hydra*", "name", "run_name", "resume", "accept_changes", "allow", "local"),
    *("trainer.default_root_dir", "callbacks.*.dirpath", "*._target_", "*._partial_"),
)
FIRST = (
    *(
        "experiment",
        "cell",
        "data",
        "data.path",
        "task",
        "model",
        "cell.hidden_size",
        "model.hidden_sizes",
        "model.depth",
    ),
    *("optimizer", "optimizer.lr", "regularizers*", "pooling*", "cell.*", "model.*", "optimizer.*", "scheduler*"),
    *("data.batch_size", "trainer.max_*"),
)
"""Patterns of keys in the order in which users look for them; others follow, and ``seed`` is the last."""

Values = Mapping[str, Any]


def values_of(run: Run) -> dict[str, Any]:
    """Return what describes the computation of a run: its configuration, and for each group its option.

    A part whose class was typed has the name of that class in place of an option.
    """
    config = {key: value for key, value in run.config.items() if not _matches(key, OF_THE_FOLDER)}
    classes = {
        key.removesuffix("._target_"): str(value).rpartition(".")[2]
        for key, value in run.config.items()
        if key.endswith("._target_") and key.count(".") == 1 and (key in run.typed or not run.choices)
    }
    groups = {key: value for key, value in run.choices.items() if value and not _matches(key, OF_THE_FOLDER)}
    return {**config, **groups, **classes}


def differing(values: Sequence[Values]) -> list[str]:
    """Return the keys in which runs differ, those that users mean most often first, without copies of other keys."""
    keys = dict.fromkeys(key for row in values for key in row)
    columns = {key: [as_text(row.get(key)) for row in values] for key in keys}
    varied = sorted((key for key, column in columns.items() if len({*column}) > 1), key=_rank)
    found: list[str] = []
    for key in sorted(varied, key=lambda key: key.count(".")):
        if not any(_may_copy(key, other) and columns[key] == columns[other] for other in found):
            found.append(key)
    return [key for key in varied if key in found]


def worth_showing(keys: Sequence[str], runs: Sequence[Run], values: Sequence[Values]) -> list[str]:
    """Return the keys that a command line set, or that all runs have and that affect what is computed.

    Those that only some of the runs have come with the option of a group, such as the activation of one cell.
    """
    typed = {key for run in runs for key in run.typed}
    return [key for key in keys if key in typed or (is_relevant(key) and all(key in row for row in values))]


def is_relevant(key: str) -> bool:
    """Return whether a key affects what a run computes."""
    return key == "ckpt_path" or not is_changeable(key)


def short_names(keys: Sequence[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Return the last part of each key, or the whole key where that part would mean several of them.

    Example:
        >>> short_names(["cell", "cell.hidden_size", "front.channels", "top.channels"])
        {'cell': 'cell', 'cell.hidden_size': 'hidden_size', 'front.channels': 'front.channels', 'top.channels':
         'top.channels'}
    """
    parts = [key.rpartition(".")[2] for key in keys]
    unique = {part for part in parts if parts.count(part) == 1 and part not in taken}
    return {key: part if part in unique else key for key, part in zip(keys, parts, strict=True)}


def _rank(key: str) -> tuple[int, str]:
    order = next((index for index, pattern in enumerate(FIRST) if fnmatchcase(key, pattern)), len(FIRST))
    return order + (key == "seed") * len(FIRST), key


def _matches(key: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _may_copy(key: str, other: str) -> bool:
    return key.endswith(f".{other}") or is_copy(key, other)
