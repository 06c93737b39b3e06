"""Check the keys of a configuration node against the signature of its ``_target_``, before it is called."""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import InitVar
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from seqmodels.config.allowlist import join
from seqmodels.errors import ConfigError, nearest

Function = Callable[..., Any]
SPECIAL = ("_target_", "_partial_")
OWN = ("attention", "cell", "data", "front", "initializer", "model", "optimizer", "scheduler", "top", "vocabulary")
"""Groups with an option ``own`` for a class of the user."""
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "null"}


def parts_of(function: Function) -> tuple[Function, ...]:
    """Return the callables that receive the keys of a node: ``function``, and for a data source two more.

    These are its preparation and :class:`~seqmodels.data.Loading`, since all data options are keys of one node. An
    option that two of the parts have is passed to both.
    """
    from seqmodels.data import Loading, Source  # noqa: PLC0415  (torch takes seconds)

    if isinstance(function, type) and issubclass(function, Source):
        if not hasattr(function, "preparation"):
            raise ConfigError(f"{function.__name__} must name the class of its preparation: preparation = ...")
        return function, function.preparation, Loading
    return (function,)


def parameters_of(function: Function) -> dict[str, inspect.Parameter]:
    """Return the keyword arguments that a node may have."""
    return {
        name: parameter for part in parts_of(function) for name, parameter in inspect.signature(part).parameters.items()
    }


def check_signature(function: Function, node: dict[str, Any], place: str, given: Mapping[str, Any]) -> None:
    """Check the keys of a node, and the types of their values, against the signature of ``function``.

    ``given`` are keyword arguments that do not come from the node.

    Raises:
        ConfigError: a key is unknown or missing, or its value does not have the annotated type.
    """
    parameters = parameters_of(function)
    is_open = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = {name: hint for part in parts_of(function) for name, hint in _hints(part).items()}
    target = node["_target_"]
    keys = [key for key in node if key not in SPECIAL]
    for key in keys:
        where = join(place, key)
        if str(key).startswith("_") and str(key).endswith("_"):
            raise ConfigError(f"{where} has no meaning here; special keys are {', '.join(SPECIAL)}")
        if key in given:
            raise ConfigError(f"{where} is not set here: it comes from the data ({given[key]!r})")
        if key not in parameters and not is_open:
            known = ", ".join(parameters)
            hint = nearest(key, parameters) or _way_out(place, key, node)
            raise ConfigError(f"{where}: {target} has no argument {key!r}{hint} (it has: {known})")
        if key in hints:
            _check_value(where, hints[key], node[key])
    if node.get("_partial_", False):
        return
    for name, parameter in parameters.items():
        optional = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if not optional and name not in keys and name not in given:
            raise ConfigError(f"{join(place, name)} must be given: {target} needs it")


def _way_out(place: str, key: Any, node: dict[str, Any]) -> str:
    """Return how a key of another class is left out, which came along with the option that was chosen before."""
    if place in OWN:
        return f"; if the class is your own, {place}=own has no keys of another"
    return f"; ~{join(place, key)} removes it" if node[key] is not None else ""


def check_argument(function: Function, place: str, key: str, value: Any) -> None:
    """Check the type of one argument of ``function``, for the key at ``place``.

    Raises:
        ConfigError: the value does not have the annotated type.
    """
    for part in parts_of(function):
        if key in (hints := _hints(part)):
            _check_value(join(place, key), hints[key], value)


def checked_seed(seed: Any) -> int:
    """Return the seed of a run if it is valid.

    Raises:
        ConfigError: it is not a whole number from 0 to 2**32 - 1.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ConfigError(f"seed must be a whole number from 0 to 2**32 - 1, got {seed!r}")
    return seed


def _check_value(where: str, annotation: Any, value: Any) -> None:
    if rule := _broken_rule(annotation, value):
        raise ConfigError(f"{where} must be {rule}, got {value!r}")


def _hints(function: Function) -> dict[str, Any]:
    """Return the annotations of a function or constructor, or none if they cannot be resolved."""
    try:
        return get_type_hints(function.__init__ if inspect.isclass(function) else function)
    except (NameError, TypeError, AttributeError):  # names that exist only for type checkers
        return {}


def _broken_rule(annotation: Any, value: Any) -> str:
    """Return what ``value`` must be, or an empty string if it is valid or the annotation is not scalar."""
    if isinstance(annotation, InitVar):
        annotation = annotation.type
    options = _options(annotation)
    choices = [choice for option in options if get_origin(option) is Literal for choice in get_args(option)]
    kinds = [option for option in options if get_origin(option) is not Literal and not _is_tensor(option)]
    if not (kinds or choices) or any(kind not in KINDS for kind in kinds):
        return ""
    if type(value) in kinds or (type(value) is int and float in kinds) or value in choices:
        return ""
    one_of = "one of " if len(choices) > 1 else ""
    listed = [f"{one_of}{', '.join(map(repr, choices))}{nearest(str(value), choices)}"] if choices else []
    return " or ".join([*(KINDS[kind] for kind in kinds), *listed])


def _is_tensor(option: Any) -> bool:
    """Return whether an alternative is torch's tensor, which no value of a configuration is: ``lr: float | Tensor``."""
    return (getattr(option, "__module__", None), getattr(option, "__name__", None)) == ("torch", "Tensor")


def _options(annotation: Any) -> list[Any]:
    """Return the alternatives of an annotation; those of a union, nested ones included."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return [annotation]
    return [option for member in get_args(annotation) for option in _options(member)]
