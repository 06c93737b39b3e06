"""Error messages for overrides: the wrong one, and the nearest valid name."""

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

MAX_GROUP_NAME = 200  # characters
COMPOSE_ERRORS = (
    *(HydraException, OmegaConfBaseException, YAMLError),
    *(ValueError, TypeError, OSError, AssertionError, RecursionError),
)
"""Exceptions that composing a configuration may raise; Hydra has no common base class for them."""


def is_group(hydra: Hydra, override: Override) -> bool:
    """Return whether an override chooses an option of a group."""
    return bool(options_of(hydra, override.key_or_group))


def options_of(hydra: Hydra, group: str) -> list[str]:
    """Return the options of a group, or an empty list if there is no such group."""
    if len(group) > MAX_GROUP_NAME:  # longer names than a file system permits
        return []
    return hydra.config_loader.get_group_options(group, results_filter=ObjectType.CONFIG)


def explain(hydra: Hydra, config_name: str, overrides: list[Override], error: Exception) -> ConfigError:
    """Return an error that names the wrong override and the nearest valid key, or Hydra's message if none is found."""
    groups = [o for o in overrides if is_group(hydra, o) or o.key_or_group == "hydra.searchpath"]
    keys = [override for override in overrides if override not in groups and not override.is_force_add()]
    try:
        lines = [str(override.input_line) for override in groups]
        config = hydra.compose_config(config_name, lines, RunMode.RUN, with_log_configuration=False)
    except COMPOSE_ERRORS:
        return ConfigError(first_lines(error))
    for override in keys:
        key, value = override.key_or_group, override.value()
        inner = [f"{key}.{name}" for name in value] if isinstance(value, dict) else []
        for place in [key, *inner]:
            if not override.is_add() and (problem := _unknown_key(hydra, config, place)):
                return ConfigError(f"{problem}; +{place}=... adds it" if inner else problem)
    return ConfigError(first_lines(error))


def _unknown_key(hydra: Hydra, config: DictConfig, key: str) -> str | None:
    """Return an error message for a dotted key, or None if the configuration has it."""
    node: Any = config
    *parents, _ = parts = key.split(".")
    for depth, part in enumerate(parts):
        # also finds a child with a missing value
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
        keys = f"it has: {', '.join(map(str, names))}" if names else "it has none"
        options = options_of(hydra, parts[0]) if depth == 1 and not names else []
        choose = f"; choose one with {parts[0]}=, of {', '.join(options)}" if options else ""
        return f"{key}: {where} has no key {part!r}{hint} ({keys}){choose}"
    return None


def _same_name_elsewhere(config: DictConfig, name: str) -> str:
    """Return a hint if a similar key exists elsewhere, such as ``cell.hidden_size`` for ``hidden_size``."""
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
    """Return the message of an error as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return "; ".join(lines[:2] if not isinstance(error, YAMLError) else lines)
