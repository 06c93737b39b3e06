"""Build objects from configurations.

A node with a ``_target_`` is a call: its other keys are keyword arguments, which are built first. ``_partial_: true``
returns the callable with these arguments bound. No other keys are special. Every name is checked against the
allow-list (:mod:`seqmodels.config.allowlist`) before it is imported, and every key against the signature before
anything is called.
"""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from seqmodels.config.allowlist import check_names, join, nodes, resolve
from seqmodels.config.signatures import SPECIAL, check_signature
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
    return _construct(config, place, given)


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


def plain(node: Any) -> Any:
    """Return a node as plain dicts and lists with every interpolation resolved.

    Raises:
        ConfigError: an interpolation cannot be resolved, or a mandatory value (``???``) is missing.
    """
    if not OmegaConf.is_config(node):
        return node
    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key} must be given: {error.full_key}=...") from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or place_of(node)}: {str(error).splitlines()[0]}") from error


def place_of(node: Any) -> str:
    """Return the path of a node in its configuration, such as ``"model.cell"``."""
    return str(node._get_full_key(None) or "") if isinstance(node, DictConfig) else ""


def target_of(node: Any) -> Any:
    """Return the class or function of a node's ``_target_``, without calling it."""
    config, place = plain(node), place_of(node)
    if not isinstance(config, dict) or "_target_" not in config:
        raise ConfigError(f"{place or 'the node'} must have a _target_, got {config!r:.200}")
    check_names(config, place)
    return resolve(config["_target_"], place)


def accepted(node: Any, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the ``offered`` keyword arguments that the callable of a node accepts."""
    parameters = inspect.signature(target_of(node)).parameters
    return {name: value for name, value in offered.items() if name in parameters}


def _construct(config: Any, place: str, given: Mapping[str, Any]) -> Any:
    if isinstance(config, list):
        return [_construct(value, f"{place}[{index}]", {}) for index, value in enumerate(config)]
    if not isinstance(config, dict):
        return config
    keywords = {key: _construct(value, join(place, key), {}) for key, value in config.items() if key not in SPECIAL}
    if "_target_" not in config:
        return keywords
    function = resolve(config["_target_"], place)
    if config.get("_partial_", False):
        return functools.partial(function, **keywords, **given)
    try:
        return function(**keywords, **given)
    except ConfigError:
        raise
    except (ValueError, TypeError, OSError, ImportError) as error:
        raise ConfigError(f"{place} ({config['_target_']}): {error}") from error
    except (
        RuntimeError,
        ArithmeticError,
        MemoryError,
    ) as error:  # from torch, for example for sizes that do not fit in memory
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{place} ({config['_target_']}): {reason}") from error
