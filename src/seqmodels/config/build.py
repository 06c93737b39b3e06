"""Build objects from configurations.

A node with a ``_target_`` is a call: its other keys are keyword arguments, which are built first. ``_partial_: true``
returns the callable with these arguments bound. No other keys are special. Every name is checked against the
allow-list (:mod:`seqmodels.config.allowlist`) before it is imported, and every key against the signature before
anything is called. The node of a data source also holds the keys of its preparation and of its loading, and becomes a
:class:`~seqmodels.data.DataModule` of the three.
"""

import functools
import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from seqmodels.config.allowlist import check_names, join, nodes, resolve
from seqmodels.config.signatures import SPECIAL, check_signature, parameters_of, parts_of
from seqmodels.errors import ConfigError


def build(node: Any, **given: Any) -> Any:
    """Build the object that a configuration node describes.

    ``given`` are further keyword arguments of the outermost call: objects, and sizes that depend on the data.

    Raises:
        TargetRefused: a ``_target_`` is not on the allow-list.
        ConfigError: a key is unknown or missing, or a constructor rejected its values.
    """
    config, place = plain(node), place_of(node)
    check(config, place, given)
    return construct(config, place, given)


def check(config: Any, place: str = "", given: Mapping[str, Any] | None = None) -> None:
    """Check the targets of a plain configuration, and their keys against the signatures, without calling anything.

    Raises:
        TargetRefused: a ``_target_`` is not on the allow-list.
        ConfigError: a key is unknown or missing.
    """
    check_names(config, place)
    for where, node in nodes(config, place):
        if "_target_" in node:
            check_signature(resolve(node["_target_"], where), node, where, (given or {}) if where == place else {})


def check_entries(config: Mapping[str, Any] | None, place: str) -> None:
    """Check that each entry of a group such as ``callbacks`` is a part, or None for one that was removed.

    Raises:
        ConfigError: an entry has no ``_target_``, as where a key of it is set and no option of the group has it.
    """
    for name, node in (config or {}).items():
        if node is not None and not (isinstance(node, dict) and "_target_" in node):
            raise ConfigError(
                f"{join(place, name)} must have a _target_, got {node!r:.200}; {place}=... chooses options"
            )


def plain(node: Any) -> Any:
    """Return a node as plain dicts and lists with every interpolation resolved.

    Raises:
        ConfigError: an interpolation cannot be resolved, or a mandatory value (``???``) is missing.
    """
    if node is None or isinstance(node, dict | list | str | int | float):
        return node
    from omegaconf import OmegaConf  # noqa: PLC0415  (a trained model is loaded without it)
    from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue, OmegaConfBaseException  # noqa: PLC0415

    if not OmegaConf.is_config(node):
        return node
    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key} must be given: {error.full_key}=...") from error
    except InterpolationKeyError as error:
        name = re.search(r"'([^']*)'", str(error))
        missing = name[1] if name else "another key"
        raise ConfigError(f"{error.full_key} follows {missing}, which is not there: {missing}=... sets it") from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or place_of(node)}: {str(error).splitlines()[0]}") from error


def place_of(node: Any) -> str:
    """Return the path of a node in its configuration, such as ``"model.cell"``."""
    return str(node._get_full_key(None) or "") if type(node).__name__ == "DictConfig" else ""


def with_environment(node: Any, place: str) -> Any:
    """Return a node of a saved configuration, plain data, with the environment variables that its values name.

    They are the only interpolations that remain in saved configurations.

    Raises:
        ConfigError: there is no such variable, or it is another interpolation.
    """
    if "${" not in json.dumps(node, ensure_ascii=False):
        return node
    from omegaconf import OmegaConf  # noqa: PLC0415
    from omegaconf.errors import OmegaConfBaseException  # noqa: PLC0415

    try:
        return plain(OmegaConf.create({place: node})[place])
    except OmegaConfBaseException as error:
        raise ConfigError(f"{place}: {str(error).splitlines()[0]}") from error


def target_of(node: Any) -> Any:
    """Return the class or function of a node's ``_target_``, without calling it."""
    config, place = plain(node), place_of(node)
    if not isinstance(config, dict) or "_target_" not in config:
        raise ConfigError(f"{place or 'the node'} must have a _target_, got {config!r:.200}")
    check_names(config, place)
    return resolve(config["_target_"], place)


def accepted(node: Any, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the ``offered`` keyword arguments that the callable of a node accepts."""
    parameters = parameters_of(target_of(node))
    return {name: value for name, value in offered.items() if name in parameters}


def construct(config: Any, place: str, given: Mapping[str, Any] | None = None) -> Any:
    """Build a plain configuration that :func:`check` has accepted; same arguments."""
    given = given or {}
    if isinstance(config, list):
        return [construct(value, f"{place}[{index}]") for index, value in enumerate(config)]
    if not isinstance(config, dict):
        return config
    keywords = {key: construct(value, join(place, key)) for key, value in config.items() if key not in SPECIAL}
    if "_target_" not in config:
        return keywords
    function = resolve(config["_target_"], place)
    if config.get("_partial_", False):
        return functools.partial(function, **keywords, **given)
    try:
        return _called(function, keywords, given)
    except ConfigError:
        raise
    except (ValueError, TypeError, OSError, ImportError) as error:
        raise ConfigError(f"{place} ({config['_target_']}): {error}") from error
    except (RuntimeError, ArithmeticError, MemoryError) as error:  # from torch, such as for sizes beyond the memory
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{place} ({config['_target_']}): {reason}") from error


def _called(function: Callable[..., Any], keywords: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    parts = parts_of(function)
    if len(parts) == 1:
        return function(**keywords, **given)
    from seqmodels.data import DataModule  # noqa: PLC0415  (Lightning takes seconds)

    known = [inspect.signature(part).parameters for part in parts]
    options = [{name: value for name, value in keywords.items() if name in names} for names in known]
    return DataModule(*(part(**chosen) for part, chosen in zip(parts, options, strict=True)), **given)
