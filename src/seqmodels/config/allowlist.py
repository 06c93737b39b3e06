"""The allow-list for ``_target_``: what a configuration may name, checked before anything is imported.

Hydra's own block-list is no boundary: ``torch.utils.collect_env.run`` passes it and runs a shell command. This gate
works the other way round. A name must match the list before it is imported; what it then turns out to be must be a
class, or a function of the few modules whose functions are meant to be configured, defined under a name that matches
as well. That stops re-exports (``seqmodels.data.os.system``) and methods (``Classification.load_from_checkpoint``).

A user widens the list by the environment variable ``SEQMODELS_ALLOW`` (``mycells.*,other.module.*``), never from
inside a configuration.
"""

import importlib
import inspect
import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any

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
HYDRA = ("hydra._internal.core_plugins.*", "hydra_plugins.*")
LOGGING = ("logging.*Handler", "logging.handlers.*Handler", "logging.Formatter", "colorlog.ColoredFormatter")
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
COMMANDS = ("setup", "python")  # of a launcher for a cluster
VARIABLES = (
    *("OMP_*", "MKL_*", "OPENBLAS_*", "CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG"),
    *("NCCL_*", "GLOO_*", "TOKENIZERS_PARALLELISM", "WANDB_MODE", "HYDRA_FULL_ERROR"),
)
_IN_FOLDER = re.compile(r"\$\{hydra\.runtime\.output_dir\}/")  # an absolute path, whatever follows
_WITH_TEXT = re.compile(r"(?!\$\{.*\}$)|\$\{(oc\.env:[^{}$]*|hydra\.job\.name)\}$", re.DOTALL)  # a text in any case
IMPORTING = {
    **dict.fromkeys(("job_logging", "hydra_logging"), _IN_FOLDER),
    **dict.fromkeys(("callbacks", "launcher", "sweeper"), _WITH_TEXT),
}
"""The parts of Hydra's node that name what is imported, and the interpolations that may stand in them."""


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
    """Return what the environment variable ``SEQMODELS_ALLOW`` adds to the list."""
    return tuple(pattern.strip() for pattern in os.environ.get("SEQMODELS_ALLOW", "").split(",") if pattern.strip())


def check_names(config: Any, place: str = "") -> None:
    """Check every ``_target_`` of a plain, resolved configuration by name alone; nothing is imported.

    Raises:
        TargetRefused: a target is not on the allow-list.
    """
    patterns = CLASSES + FUNCTIONS + user_patterns()
    for where, node in nodes(config, place):
        if "_target_" in node and not _matches(node["_target_"], patterns):
            raise _refusal(where, node["_target_"])


def check_hydra_names(config: Any) -> None:
    """Check what Hydra's own node of a configuration would import or run: launchers, sweepers, callbacks, log handlers.

    It is checked as it is written, since Hydra resolves it only later: what is imported must stand there as it is.

    Raises:
        TargetRefused: one of them is not on the allow-list.
    """
    if not isinstance(config, dict):
        raise TargetRefused(f"hydra = {config!r}: it must stand there as it is, not as an interpolation")
    own = user_patterns()
    rules = {"_target_": HYDRA + own, "class": LOGGING, "()": LOGGING, "factory": ()}
    for where, node in nodes(config, "hydra"):
        for key, patterns in rules.items():
            if key in node and not _matches(node[key], patterns):
                raise _refusal(where, node[key], key)
    for place, text in _texts(config, "hydra"):
        part = place.split(".")[1]
        if part in ("job_logging", "hydra_logging") and "ext://" in text and text not in STREAMS:
            raise _refusal(place, text, "")  # logging would import what follows
        if "${" in text and part in IMPORTING and not IMPORTING[part].match(text):
            raise TargetRefused(f"{place} = {text!r}: here a value must stand as it is, not as an interpolation")
    job = config.get("job") or {}
    _check_environment(job.get("env_set") or {} if isinstance(job, dict) else job)
    _check_launching(config, own)


def _check_environment(variables: Any) -> None:
    """Refuse variables by which other programs are run or the list is widened: PATH, CXX, SEQMODELS_ALLOW."""
    for name in variables if isinstance(variables, dict) else [variables]:
        if not _matches(name, VARIABLES):
            raise TargetRefused(
                f"hydra.job.env_set.{name} is not set from a configuration; set it in the shell "
                f"(a configuration may set {', '.join(VARIABLES)})"
            )


def _check_launching(config: dict[Any, Any], own: tuple[str, ...]) -> None:
    """Refuse commands for a shell, and overrides of a sweep that no check would see."""
    for key in COMMANDS:
        place = f"hydra.launcher.{key}"
        if (config.get("launcher") or {}).get(key) and not _matches(place, own):
            raise TargetRefused(f"{place} runs commands; the environment variable SEQMODELS_ALLOW={place} allows it")
    for key in (config.get("sweeper") or {}).get("params") or {}:
        if "hydra" in str(key):
            raise TargetRefused(f"hydra.sweeper.params: {key} is not swept; give it on the command line")


def _texts(config: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield every text of a plain configuration with its place."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        where = join(place, key) if isinstance(config, dict) else f"{place}[{key}]"
        if isinstance(value, str):
            yield where, value
        elif isinstance(value, dict | list):
            yield from _texts(value, where)


def check_package(name: str, place: str) -> None:
    """Check the name of a package whose configurations are asked for.

    Raises:
        TargetRefused: it is not ours, and the user does not allow it.
    """
    if not _matches(f"{name}.", ("seqmodels.*", *user_patterns())):
        raise _refusal(place, f"pkg://{name}", "")


def resolve(target: str, place: str) -> Callable[..., Any]:
    """Import what ``target`` names, for the node at ``place``.

    Raises:
        ConfigError: there is no such thing.
        TargetRefused: it is not a class or function, or is defined elsewhere under a name that is not on the list.
    """
    thing = _locate(target, place)
    own = user_patterns()
    real = f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', '?')}"
    if inspect.isclass(thing):
        allowed = _matches(real, CLASSES + own)
    else:
        plain_function = inspect.isfunction(thing) and "." not in thing.__qualname__
        allowed = plain_function and _matches(real, FUNCTIONS + own)
    if not allowed:
        raise _refusal(place, target, really=real if callable(thing) else f"a {type(thing).__name__}")
    return thing


def _matches(name: Any, patterns: tuple[str, ...]) -> bool:
    return isinstance(name, str) and any(fnmatchcase(name, pattern) for pattern in patterns)


def _refusal(place: str, target: Any, key: str = "_target_", really: str = "") -> TargetRefused:
    what = f"{join(place, key) if key else place} = {target!r}" + (f" is really {really}, which" if really else "")
    hint = "to allow your own code, set the environment variable SEQMODELS_ALLOW, for example to 'mycells.*'"
    return TargetRefused(f"{what} is not on the list of what a configuration may name; {hint}")


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
