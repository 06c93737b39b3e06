"""Names that a command trusts beyond the allow-list: those typed by its user, and those in the user's own project.

The allow-list protects against files from others: run folders, checkpoints, model folders, foreign configurations.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override

from seqmodels.config.allowlist import ALLOW, nodes, user_patterns
from seqmodels.config.compose import parse
from seqmodels.config.files import config_files
from seqmodels.config.hydra_internals import parse_flags

NAME = re.compile(r"[\w.]+")


@contextmanager
def trusted(tokens: list[str]) -> Iterator[None]:
    """Allow the names on a command line within a block, also in child processes, with the current folder importable.

    These are names typed as a ``_target_``, patterns of ``allow=``, and every ``_target_`` in the files of a
    ``--config-dir`` or ``hydra.searchpath`` inside the current folder. Each must still be of the kind required at its
    place.

    Raises:
        ConfigError: a token is not an override.
    """
    args = parse_flags(tokens)
    overrides = parse(args.overrides)
    names = [name for override in overrides for name in _typed(override)]
    folders = [args.config_dir] if args.config_dir else []
    folders += [
        place for override in overrides if override.key_or_group == "hydra.searchpath" for place in _list(override)
    ]
    names += [name for folder in folders for name in _named_in(folder)]
    before = os.environ.get(ALLOW)
    if names:
        os.environ[ALLOW] = ",".join([*user_patterns(), *names])
    path = [os.getcwd()] if os.environ.get(ALLOW) else []  # noqa: PTH109
    sys.path += path
    try:
        yield
    finally:
        for folder in path:
            sys.path.remove(folder)
        os.environ.pop(ALLOW, None)
        os.environ.update({} if before is None else {ALLOW: before})


def _typed(override: Override) -> list[str]:
    """Return the patterns of ``allow=``, or the targets in a value; for a swept override, in all its values."""
    key = override.key_or_group
    if key == "allow":
        return _list(override)
    if key.startswith("hydra") or override.is_delete():
        return []
    values = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    return _targets([{"_target_": value} for value in values] if key.endswith("_target_") else values)


def _list(override: Override) -> list[str]:
    value: Any = override.value()
    return [str(each) for each in (value if isinstance(value, list) else [value]) if each is not None]


def _named_in(place: str) -> list[str]:
    """Return the targets in the configurations of a folder, if it is inside the current one."""
    folder = Path(place.removeprefix("file://")).resolve()
    if "pkg://" in place or not folder.is_relative_to(Path.cwd()) or not folder.is_dir():
        return []
    try:
        return _targets([yaml.safe_load(path.read_text("utf-8")) for path in config_files(folder)])
    except (OSError, UnicodeError, ValueError, yaml.YAMLError, RecursionError):  # reported with its file when composing
        return []


def _targets(values: list[Any]) -> list[str]:
    """Return the targets that are plain dotted names: only ``allow=`` gives patterns."""
    found = [node["_target_"] for _, node in nodes(values) if "_target_" in node]
    return [target for target in found if isinstance(target, str) and NAME.fullmatch(target)]
