"""The allow-list for ``_target_``: the names that files may use, checked before anything is imported.

Hydra's own block-list is not a security boundary: ``torch.utils.collect_env.run`` passes it and runs a shell command.
Here, a name must match the list before it is imported. The imported object must be a class, or a function of the few
modules with functions meant for configuration, and its defining name must match as well. That excludes re-exports
(``seqmodels.data.os.system``) and methods (``Classification.load_from_checkpoint``).

Names that users type are added to the list (:mod:`seqmodels.config.trust`), as are patterns in ``allow=`` and in the
environment variable ``SEQMODELS_ALLOW``. Nothing inside a file extends it.
"""

import importlib
import inspect
import os
import re
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
    "seqmodels.inspection.GradientFlow",
    "seqmodels.inspection.callback.GradientFlow",
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
    *("seqmodels.cells.*", "seqmodels.layers.recurrent_stack", "seqmodels.layers.stack.recurrent_stack"),
    *("seqmodels.models.pooling.*", "seqmodels.models.scheduled_sampling.*", "seqmodels.training.callbacks.progress*"),
    *("seqmodels.training.ddp", "seqmodels.training.processes.ddp"),
    *("seqmodels.training.cosine", "seqmodels.training.warmup_cosine", "seqmodels.training.schedules.*"),
)
ALLOW = "SEQMODELS_ALLOW"
"""The environment variable that extends the list: patterns or full names, separated by commas."""


def join(place: str, key: object) -> str:
    """Return the dotted path of ``key`` inside ``place``."""
    return f"{place}.{key}" if place else str(key)


def nodes(config: Any, place: str = "") -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield every dict of a plain configuration with its path, outer ones first, including those in lists."""
    if isinstance(config, dict):
        yield place, config
        for key, value in config.items():
            yield from nodes(value, join(place, key))
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from nodes(value, f"{place}[{index}]")


def user_patterns() -> tuple[str, ...]:
    """Return the patterns in the environment variable :data:`ALLOW`."""
    return tuple(pattern.strip() for pattern in os.environ.get(ALLOW, "").split(",") if pattern.strip())


def check_names(config: Any, place: str = "") -> None:
    """Check every ``_target_`` of a plain, resolved configuration by name, without importing anything.

    Raises:
        TargetRefused: a target is not on the allow-list.
    """
    patterns = CLASSES + FUNCTIONS + user_patterns()
    for where, node in nodes(config, place):
        if "_target_" in node and not matches(node["_target_"], patterns):
            raise refusal(where, node["_target_"])


def check_package(name: str, place: str) -> None:
    """Check the name of a package in a configuration search path.

    Raises:
        TargetRefused: it is neither this package nor allowed by the user.
    """
    if not matches(f"{name}.", ("seqmodels.*", *user_patterns())):
        raise refusal(place, f"pkg://{name}", "")


def resolve(target: str, place: str) -> Callable[..., Any]:
    """Import the object that ``target`` names, for the node at ``place``.

    Raises:
        ConfigError: it does not exist.
        TargetRefused: it is not a class or function, is defined under a name that is not on the list, or is of the
            wrong kind for its place.
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
    subject = f"{join(place, key) if key else place} = {target!r}" + (f" is really {really}, which" if really else "")
    pattern = f"{str(target).removeprefix('pkg://').partition('.')[0]}.*"
    if not re.fullmatch(r"(pkg://)?[A-Za-z_][\w.]*", str(target)):
        return TargetRefused(f"{subject} is not on the list of allowed names: it is not a dotted name")
    hint = f"if you trust its code, add allow={pattern} to the command, or set {ALLOW}={pattern}"
    return TargetRefused(f"{subject} is not on the list of allowed names; {hint}")


def _locate(target: str, place: str) -> Any:
    """Resolve a dotted name through modules and attributes."""
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
