"""Error messages for overrides: the wrong one, and the nearest valid name."""

from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from seqmodels.config.help.meaning import READERS, meant, of_own_files, option_meant, similar
from seqmodels.config.hydra_internals import Hydra, group_options
from seqmodels.config.signatures import SPECIAL
from seqmodels.errors import ConfigError, nearest

MAX_GROUP_NAME = 200  # characters
LAUNCHERS = {"joblib": "joblib", "submitit_local": "slurm", "submitit_slurm": "slurm"}  # and the extras that bring them
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
    return group_options(hydra, group)


def check_group(hydra: Hydra, override: Override) -> None:
    """Check that the chosen options of a group exist.

    Raises:
        ConfigError: there is no such option; the message has the nearest one.
    """
    group = override.key_or_group
    options = options_of(hydra, group) if "." not in group else []
    value = override.value() if not override.is_sweep_override() else None
    if not options or override.is_delete() or override.is_sweep_override():
        return
    for choice in value if isinstance(value, list) else [value]:
        name = str(choice).removesuffix(".yaml")
        if isinstance(choice, str) and name not in options:
            if group == "hydra/launcher" and name in LAUNCHERS:
                raise ConfigError(f"{group}={name} needs another package: pip install 'seqmodels[{LAUNCHERS[name]}]'")
            groups = hydra.config_loader.list_groups("")
            hint = option_meant(name, options, [f"{each}={name}" for each in groups if name in options_of(hydra, each)])
            if group == "data" and set("./") & {*name}:
                hint = f"; a file of yours is read by {READERS} with data.path={name}"
            elif not hint and "own" in options:
                hint = f"; a class of your own is {group}._target_=mymodule.MyClass"
            raise ConfigError(f"{group}={choice}: no such option{hint} (options: {', '.join(options)})")


def explain(hydra: Hydra, config_name: str, overrides: list[Override], error: Exception) -> ConfigError:
    """Return an error that names the wrong override and the nearest valid key, or Hydra's message if none is found."""
    if isinstance(error, MissingMandatoryValue):
        return ConfigError(f"{error.full_key} must be given: {error.full_key}=...")
    groups = [o for o in overrides if is_group(hydra, o) or o.key_or_group == "hydra.searchpath"]
    for override in groups:
        if not override.is_delete() and override.value() is None:
            return ConfigError(f"{override.key_or_group}=null cannot be one of several values; run it by itself")
    keys = [override for override in overrides if override not in groups and not override.is_force_add()]
    try:
        lines = [str(override.input_line) for override in groups]
        config = hydra.compose_config(config_name, lines, RunMode.RUN, with_log_configuration=False)
    except COMPOSE_ERRORS:
        return ConfigError(first_lines(error))
    for override in keys:
        if override.is_delete() and OmegaConf.select(config, override.key_or_group, default=0) is None:
            return ConfigError(f"{override.input_line}: it is null already; {override.key_or_group}=VALUE sets it")
        key, value = override.key_or_group, override.value()
        inner = [f"{key}.{name}" for name in value] if isinstance(value, dict) else []
        for place in [key, *inner]:
            if not override.is_add() and (problem := _unknown_key(hydra, config, place)):
                return ConfigError(f"{problem}; +{place}=... adds it" if inner else problem)
    return ConfigError(first_lines(error))


def _unknown_key(hydra: Hydra, config: DictConfig, key: str) -> str | None:
    """Return an error message for a dotted key, or None if the configuration has it."""
    node: Any = config
    for depth, part in enumerate(key.split(".")):
        # also finds a child with a missing value
        child = node._get_node(part, validate_access=False) if OmegaConf.is_dict(node) else None
        if child is not None:
            if OmegaConf.is_interpolation(child):
                return None
            node = child
            continue
        if depth == 0 and part in hydra.config_loader.list_groups(""):
            return f"{key}: no {part} is chosen; {part}=... chooses one, of {', '.join(options_of(hydra, part))}"
        return _no_such_key(hydra, config, node, key, depth)
    return None


def _no_such_key(hydra: Hydra, config: DictConfig, node: Any, key: str, depth: int) -> str:
    """Return an error message for a key whose part number ``depth`` is not in ``node``."""
    parts = key.split(".")
    part, group, place = parts[depth], parts[0], ".".join(parts[:depth])
    names = [str(name) for name in (node if OmegaConf.is_dict(node) else ()) if name not in SPECIAL]
    if not place:
        names = sorted({*names, *hydra.config_loader.list_groups("")} - {"hydra"})
    choice = config.hydra.runtime.choices.get(group) if place else None
    where = f"{place} ({group}/{choice}.yaml)" if choice else place or "the configuration"
    problem = f"{key}: {where} has no key {part!r}"
    keys = f"(it has: {', '.join(names)})" if names else "(it has none)"
    if choice == "own":  # its keys are those of the user's class
        return f"{problem} {keys}; +{key}=... adds it"
    near = nearest(part, names)
    namesake = meant(config, parts[-1]) if part == parts[-1] or not near else None
    own = of_own_files(config, parts[-1]) if place in ("", "data") and not namesake else ""
    hint = f"; did you mean {namesake!r}?" if namesake else own or near or similar(config, parts[-1])
    if depth == 1 and not names and (options := options_of(hydra, group)):
        return f"{problem}{hint} {keys}; choose one with {group}=, of {', '.join(options)}"
    return f"{problem}{hint} {keys}{f'; +{key}=... adds it' if place and not hint else ''}"


def first_lines(error: BaseException) -> str:
    """Return the message of an error as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return "; ".join(lines[:2] if not isinstance(error, YAMLError) else lines)
