"""Saying what is wrong with an override: which one it is, and the nearest name that would fit."""

from collections.abc import Iterator
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from seqmodels.config.hydra_internals import Hydra
from seqmodels.errors import ConfigError, nearest

LONGEST = 200  # characters of the name of a group
COMPOSING = (
    *(HydraException, OmegaConfBaseException, YAMLError),
    *(ValueError, TypeError, OSError, AssertionError, RecursionError),
)
"""What goes wrong while files become a configuration; Hydra has no class of its own for all of it."""


def is_group(hydra: Hydra, override: Override) -> bool:
    """Tell whether an override chooses an option of a group."""
    return bool(options_of(hydra, override.key_or_group))


def options_of(hydra: Hydra, group: str) -> list[str]:
    """Return the options of a group; none where there is no such group."""
    if len(group) > LONGEST:  # no folder has such a name, and the system would refuse to look
        return []
    return hydra.config_loader.get_group_options(group, results_filter=ObjectType.CONFIG)


def explain(hydra: Hydra, config_name: str, overrides: list[Override], error: Exception) -> ConfigError:
    """Find the override that does not fit and the nearest key that would; else pass on what Hydra says."""
    groups = [o for o in overrides if is_group(hydra, o) or o.key_or_group == "hydra.searchpath"]
    keys = [override for override in overrides if override not in groups and not override.is_force_add()]
    try:
        lines = [str(override.input_line) for override in groups]
        config = hydra.compose_config(config_name, lines, RunMode.RUN, with_log_configuration=False)
    except COMPOSING:
        return ConfigError(first_lines(error))
    for override in keys:
        key, value = override.key_or_group, override.value()
        inner = [f"{key}.{name}" for name in value] if isinstance(value, dict) else []
        for place in [key, *inner]:
            if not override.is_add() and (problem := _unknown_key(hydra, config, place)):
                return ConfigError(f"{problem}; +{place}=... adds it" if inner else problem)
    return ConfigError(first_lines(error))


def _unknown_key(hydra: Hydra, config: DictConfig, key: str) -> str | None:
    """Return what is wrong with a dotted key, or None when the configuration has it."""
    node: Any = config
    *parents, _ = parts = key.split(".")
    for depth, part in enumerate(parts):
        # a child is there, even if its value is missing
        child = node._get_node(part, validate_access=False) if OmegaConf.is_dict(node) else None
        if child is not None:
            if OmegaConf.is_interpolation(child):
                return None
            node = child
            continue
        place = ".".join(parts[:depth])
        names = [name for name in (node.keys() if OmegaConf.is_dict(node) else ()) if name != "_target_"]
        if depth == 0 and part in hydra.config_loader.list_groups(""):
            return f"{key}: no {part} is chosen; {part}=... chooses one, of {', '.join(options_of(hydra, part))}"
        if not place:
            names = sorted({*names, *hydra.config_loader.list_groups("")} - {"hydra"})
        hint = nearest(part, names) or _same_name_elsewhere(config, parts[-1])
        choice = config.hydra.runtime.choices.get(parts[0]) if parents else None
        where = f"{place} ({parts[0]}/{choice}.yaml)" if choice else place or "the configuration"
        there = f"it has: {', '.join(map(str, names))}" if names else "it has none"
        options = options_of(hydra, parts[0]) if depth == 1 and not names else []
        choose = f"; choose one with {parts[0]}=, of {', '.join(options)}" if options else ""
        return f"{key}: {where} has no key {part!r}{hint} ({there}){choose}"
    return None


def _same_name_elsewhere(config: DictConfig, name: str) -> str:
    """Return a hint when a key of this name, or nearly, stands elsewhere: ``hidden_size`` for ``cell.hidden_size``."""
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    plain.pop("hydra")
    paths = dict(_leaf_paths(plain))
    hint = nearest(name, paths)
    return f"; did you mean {paths[hint.split(chr(39))[1]]!r}?" if hint else ""


def _leaf_paths(node: dict[Any, Any], place: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        path = f"{place}.{key}" if place else str(key)
        if isinstance(value, dict):
            yield from _leaf_paths(value, path)
        yield str(key), path


def first_lines(error: BaseException) -> str:
    """Return what an error says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return "; ".join(lines[:2] if not isinstance(error, YAMLError) else lines)
