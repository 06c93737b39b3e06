"""Environment variables in configurations, which are never written to files or logs.

``${oc.env:NAME}`` may be a secret, and belongs to the machine rather than to the run.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import OmegaConf
from omegaconf.resolvers import oc

MIN_LENGTH = 6  # shorter values are not concealed, as they occur within ordinary words
PREFIX = "SEQMODELS_"  # data folders and the like, which messages should show

_read: dict[str, str] = {}  # from the value to the name of each variable that a configuration has read


def track_environment() -> None:
    """Record from now on what configurations read from the environment, for :func:`concealed`."""
    OmegaConf.register_new_resolver("oc.env", _env, replace=True)


def concealed(text: str) -> str:
    """Replace the values of environment variables that configurations have read by their names in a message."""
    for value in sorted(_read, key=len, reverse=True):
        text = text.replace(value, f"${{oc.env:{_read[value]}}}")
    return text


@contextmanager
def environment_unresolved() -> Iterator[None]:
    """Keep interpolations that read the environment unresolved within a block."""
    OmegaConf.register_new_resolver("oc.env", _named, replace=True)
    OmegaConf.register_new_resolver("oc.decode", _undecoded, replace=True)
    try:
        yield
    finally:
        track_environment()
        OmegaConf.register_new_resolver("oc.decode", oc.decode, replace=True)


def _env(*arguments: Any) -> Any:
    value = oc.env(*arguments)
    if isinstance(value, str) and len(value) >= MIN_LENGTH and not str(arguments[0]).startswith(PREFIX):
        _read[value] = str(arguments[0])
    return value


def _named(*arguments: Any) -> str:
    return f"${{oc.env:{','.join(map(_spelled, arguments))}}}"


def _undecoded(expression: Any, *, _parent_: Any, _node_: Any) -> Any:  # parameter names that OmegaConf fills in
    if isinstance(expression, str) and "${" in expression:
        return f"${{oc.decode:{expression}}}"
    return oc.decode(expression, _parent_, _node_)


def _spelled(argument: Any) -> str:
    """Return an argument of a resolver as written in a configuration."""
    if argument is None:
        return "null"
    if isinstance(argument, str) and re.fullmatch(r"[\w./-]+", argument):
        return argument
    return "'" + re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + (found[2] and "\\'"), str(argument)) + "'"
