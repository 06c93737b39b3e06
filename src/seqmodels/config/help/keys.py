"""The keys of configuration files, each with its default and the comment that the file has for it.

A comment stands behind its key or in the lines above it; the lines at the top of a file describe the whole file.
Nothing is composed: Hydra's defaults list says which files a choice of groups reads, and at which place.
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import yaml
from hydra.types import RunMode

from seqmodels.config.explaining import COMPOSE_ERRORS, first_lines
from seqmodels.config.hydra_internals import Hydra
from seqmodels.errors import ConfigError

NOT_TYPED = ("defaults", "_partial_")


class Key(NamedTuple):
    """A key as it is typed, its default as it is written, and its comment."""

    name: str
    default: str
    comment: str


class Part(NamedTuple):
    """A file of the defaults list: its path below the folder of configurations, who includes it, and where it goes."""

    path: str
    parent: str
    package: str


def parts(hydra: Hydra, command: str, choices: Sequence[str]) -> list[Part]:
    """Return the files that a command reads with these choices of groups, in the order in which later ones win.

    Choices that exclude each other are each read alone; a group that the command does not read by itself is added.

    Raises:
        ConfigError: a choice cannot be read.
    """
    groups = [choice.lstrip("+").partition("=")[0] for choice in choices]
    if len({*groups}) < len(groups):  # Hydra would read the last option of a group only
        return [part for choice in choices for part in parts(hydra, command, [choice])]
    try:
        return _defaults(hydra, command, choices)
    except COMPOSE_ERRORS as error:
        if len(choices) > 1:
            return [part for choice in choices for part in parts(hydra, command, [choice])]
        if not choices or choices[0].startswith("+"):
            raise ConfigError(first_lines(error)) from error
        return parts(hydra, command, [f"+{choices[0]}"])


def _defaults(hydra: Hydra, command: str, choices: Sequence[str]) -> list[Part]:
    found = hydra.config_loader.compute_defaults_list(command, [*choices], RunMode.RUN).defaults
    return [Part(str(each.config_path), str(each.parent), str(each.package or "")) for each in found]


def below(found: Sequence[Part], path: str) -> list[Part]:
    """Return those of the parts that the file ``path`` includes, and itself."""
    parents = {part.path: part.parent for part in found}

    def is_below(place: str) -> bool:
        while place != path and place in parents:
            place = parents[place] if parents[place] != place else ""
        return place == path

    return [part for part in found if is_below(part.path)]


def keys_of(hydra: Hydra, found: Iterable[Part]) -> list[Key]:
    """Return the keys of several files; a later default wins, and a comment stays where the later file has none."""
    known: dict[str, Key] = {}
    for part in found:
        own = read_keys(text_of(hydra, part.path), part.package)
        for name in [name for name in known for key in own if _is_inside(name, key.name) or _is_inside(key.name, name)]:
            known.pop(name, None)
        for key in own:
            before = known.get(key.name)
            known[key.name] = key if key.comment or before is None else key._replace(comment=before.comment)
    return list(known.values())


def _is_inside(name: str, place: str) -> bool:
    return name.startswith(f"{place}.")


def text_of(hydra: Hydra, path: str) -> str:
    """Return the text of a configuration from the first folder of the search path that has it; empty for none."""
    for source in hydra.config_loader.get_sources():
        if source.scheme() not in ("file", "pkg"):
            continue
        here = source.scheme() == "file"
        folder: Path | Traversable = Path(source.path) if here else files(source.path.replace("/", "."))
        if (place := folder.joinpath(f"{path}.yaml")).is_file():
            return place.read_text(encoding="utf-8")
    return ""


def header(text: str) -> list[str]:
    """Return the comment lines at the top of a file.

    Example:
        >>> header("# @package _global_\\n# one epoch\\ntest: true\\n")
        ['one epoch']
    """
    lines = [line.lstrip("# ").rstrip() for line in _top(text)]
    return [line for line in lines if not line.startswith("@package")]


def _top(text: str) -> list[str]:
    return list(takewhile(lambda line: line.startswith("#"), text.splitlines()))


def choices_of(text: str) -> dict[str, str]:
    """Return the options of other groups that a file chooses.

    Example:
        >>> choices_of("defaults:\\n  - override /task@_global_.task: regression\\n")
        {'task': 'regression'}
    """
    node = yaml.safe_load(text)
    entries = node.get("defaults", []) if isinstance(node, dict) else []
    found = [item for entry in entries if isinstance(entry, dict) for item in entry.items()]
    chosen = [(key.removeprefix("override ").lstrip("/"), value) for key, value in found if key.startswith("override ")]
    return {key.partition("@")[0]: _option(value) for key, value in chosen}


def _option(value: object) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else "null" if value is None else str(value)


def read_keys(text: str, package: str = "") -> list[Key]:
    """Return the keys of one file.

    Args:
        text: of the file.
        package: the place of its keys in the configuration.

    Example:
        >>> read_keys("max_time: 100  # in steps\\n", "initializer")
        [Key(name='initializer.max_time', default='100', comment='in steps')]
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = text.splitlines()
    return list(_entries(root, lines, package, len(_top(text)))) if isinstance(root, yaml.MappingNode) else []


def _entries(node: yaml.MappingNode, lines: list[str], place: str, first: int) -> Iterator[Key]:
    for key, value in node.value:
        if key.value in NOT_TYPED:
            continue
        name = f"{place}.{key.value}" if place else str(key.value)
        children = value.value if isinstance(value, yaml.MappingNode) else []
        if children and not any("." in each.value for each in (key, *(child for child, _ in children))):
            yield from _entries(value, lines, name, first)
        else:
            yield Key(name, _written(value, lines), _comment(key, value, lines, first))


def _written(node: yaml.Node, lines: list[str]) -> str:
    """Return a value as it is written in the file, in one line."""
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return f"{node.value.splitlines()[0]} ..."
    start, end = node.start_mark, node.end_mark
    rows = lines[start.line : end.line + 1]
    if not rows:
        return "null"
    rows[-1] = rows[-1][: end.column]
    rows[0] = rows[0][start.column :]
    return " ".join(row.strip() for row in rows).strip() or "null"


def _comment(key: yaml.Node, value: yaml.Node, lines: list[str], first: int) -> str:
    """Return the comment lines above a key, but not the first ones of the file, and the comment behind its value."""
    row = key.start_mark.line
    above: list[str] = []
    while row - 1 - len(above) >= first and lines[row - 1 - len(above)].lstrip().startswith("#"):
        above.insert(0, lines[row - 1 - len(above)].strip().lstrip("# "))
    rest = lines[value.end_mark.line][value.end_mark.column :] if value.end_mark.line < len(lines) else ""
    behind = rest.partition("#")[2].strip() if rest.lstrip(" ,}").startswith("#") else ""
    return " ".join([*above, behind]).strip()
