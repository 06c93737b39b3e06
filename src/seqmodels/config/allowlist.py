"""The allow-list for ``_target_``: what files may name, checked before anything is imported.

Hydra's own block-list is no boundary: ``torch.utils.collect_env.run`` passes it and runs a shell command. Here a name
must match the list before it is imported; what it then turns out to be must be a class, or a function of the few
modules whose functions are meant to be configured, defined under a name that matches as well. That stops re-exports
(``seqmodels.data.os.system``) and methods (``Classification.load_from_checkpoint``).

What users type is added to the list (:mod:`seqmodels.config.trust`), as is what they allow by ``allow=`` or the
environment variable ``SEQMODELS_ALLOW``. Nothing inside a file widens it.
"""

import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any

from seqmodels.config.kinds import check_kind
from seqmodels.errors import ConfigError, TargetRefused, nearest

CLASSES = (
    "seqmodels.cells.*",
    "seqmodels.layers.*",
    "seqmodels.models.*",
    "seqmodels.tasks.*",
    "seqmodels.data.*",
    "seqmodels.training.callbacks.*",
    "seqmodels.training.resuming.*",
    "torch.optim.*",
    "torch.nn.*",
    "torchmetrics.*",
    "lightning.Trainer",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.trainer.*",
    "lightning.pytorch.callbacks.*",
    "lightning.pytorch.loggers.*",
    "lightning.pytorch.strategies.*",
    "lightning.pytorch.profilers.*",
    "optuna.samplers.*",
    "optuna.pruners.*",
)
FUNCTIONS = (
    *("seqmodels.cells.*", "seqmodels.models.pooling.*", "seqmodels.training.callbacks.progress*"),
    *("seqmodels.training.ddp", "seqmodels.training.processes.ddp"),
    *("seqmodels.training.warmup_cosine", "seqmodels.training.schedules.*"),
)
ALLOW = "SEQMODELS_ALLOW"
"""The environment variable that widens the list: patterns, or whole names, with commas between them."""


def join(place: str, key: object) -> str:
    """Return the dotted place of ``key`` inside ``place``."""
    return f"{place}.{key}" if place else str(key)


def nodes(config: Any, place: str = "") -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield every dict of a plain configuration with its place, outer ones first, through lists as well."""
    if isinstance(config, dict):
        yield place, config
        for key, value in config.items():
            yield from nodes(value, join(place, key))
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from nodes(value, f"{place}[{index}]")


def user_patterns() -> tuple[str, ...]:
    """Return what the environment variable :data:`ALLOW` adds to the list."""
    return tuple(pattern.strip() for pattern in os.environ.get(ALLOW, "").split(",") if pattern.strip())


def check_names(config: Any, place: str = "") -> None:
    """Check every ``_target_`` of a plain, resolved configuration by name alone; nothing is imported.

    Raises:
        TargetRefused: a target is not on the allow-list.
    """
    patterns = CLASSES + FUNCTIONS + user_patterns()
    for where, node in nodes(config, place):
        if "_target_" in node and not matches(node["_target_"], patterns):
            raise refusal(where, node["_target_"])


def check_package(name: str, place: str) -> None:
    """Check the name of a package whose configurations are asked for.

    Raises:
        TargetRefused: it is not ours, and the user does not allow it.
    """
    if not matches(f"{name}.", ("seqmodels.*", *user_patterns())):
        raise refusal(place, f"pkg://{name}", "")


def resolve(target: str, place: str) -> Callable[..., Any]:
    """Import what ``target`` names, for the node at ``place``.

    Raises:
        ConfigError: there is no such thing.
        TargetRefused: it is not a class or function, is defined elsewhere under a name that is not on the list, or is
            of another kind than its place takes.
    """
    thing = _locate(target, place)
    own = user_patterns()
    real = f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', '?')}"
    is_function = inspect.isfunction(thing) and "." not in thing.__qualname__
    listed = matches(real, CLASSES if inspect.isclass(thing) else FUNCTIONS)
    check_kind(thing, place, target, listed=listed)
    if not (inspect.isclass(thing) or is_function) or not (listed or target in own or matches(real, own)):
        raise refusal(place, target, really=real if callable(thing) else f"a {type(thing).__name__}")
    return thing


def matches(name: Any, patterns: tuple[str, ...]) -> bool:
    return isinstance(name, str) and any(fnmatchcase(name, pattern) for pattern in patterns)


def refusal(place: str, target: Any, key: str = "_target_", really: str = "") -> TargetRefused:
    what = f"{join(place, key) if key else place} = {target!r}" + (f" is really {really}, which" if really else "")
    pattern = f"{str(target).removeprefix('pkg://').partition('.')[0]}.*"
    hint = f"where you trust its code, add allow={pattern} to the command, or set {ALLOW}={pattern}"
    return TargetRefused(f"{what} is not on the list of what files may name; {hint}")


def _locate(target: str, place: str) -> Any:
    """Follow a dotted name through modules and attributes."""
    first, *rest = target.split(".")
    thing: Any = _module(first, target, place)
    for index, part in enumerate(rest, start=1):
        if not hasattr(thing, part) and isinstance(thing, ModuleType) and hasattr(thing, "__path__"):
            _module(".".join([first, *rest[:index]]), target, place, optional=True)
        if not hasattr(thing, part):
            owner = ".".join([first, *rest[: index - 1]])
            raise ConfigError(f"{join(place, '_target_')}: {owner} has no {part!r}{nearest(part, dir(thing))}")
        thing = getattr(thing, part)
    return thing


def _module(name: str, target: str, place: str, *, optional: bool = False) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise ConfigError(f"{join(place, '_target_')} = {target!r} needs the package {error.name!r}") from error
        if optional:
            return None
        raise ConfigError(f"{join(place, '_target_')} = {target!r}: there is no module {name!r}") from error
