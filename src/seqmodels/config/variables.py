"""Variables of the environment in configurations: read where they are used, written down nowhere.

``${oc.env:NAME}`` may be a secret, and belongs to the machine rather than to the run.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import OmegaConf
from omegaconf.resolvers import oc

SHORTEST = 6  # characters of a value that is looked for in messages: shorter ones stand in other words
OURS = "SEQMODELS_"  # folders of data and the like, which messages should name

_read: dict[str, str] = {}  # by value, the name of the variable that configurations took it from


def remember_what_is_read() -> None:
    """Note from now on what configurations read from the environment, for :func:`concealed`."""
    OmegaConf.register_new_resolver("oc.env", _env, replace=True)


def concealed(text: str) -> str:
    """Return a message with the name of a variable wherever its value stands that a configuration has read."""
    for value in sorted(_read, key=len, reverse=True):
        text = text.replace(value, f"${{oc.env:{_read[value]}}}")
    return text


@contextmanager
def by_name() -> Iterator[None]:
    """Let the resolvers that read the environment answer with their own text for a while."""
    OmegaConf.register_new_resolver("oc.env", _named, replace=True)
    OmegaConf.register_new_resolver("oc.decode", _undecoded, replace=True)
    try:
        yield
    finally:
        remember_what_is_read()
        OmegaConf.register_new_resolver("oc.decode", oc.decode, replace=True)


def _env(*arguments: Any) -> Any:
    value = oc.env(*arguments)
    if isinstance(value, str) and len(value) >= SHORTEST and not str(arguments[0]).startswith(OURS):
        _read[value] = str(arguments[0])
    return value


def _named(*arguments: Any) -> str:
    return f"${{oc.env:{','.join(map(_spelled, arguments))}}}"


def _undecoded(expression: Any, *, _parent_: Any, _node_: Any) -> Any:  # names that OmegaConf fills in
    if isinstance(expression, str) and "${" in expression:
        return f"${{oc.decode:{expression}}}"
    return oc.decode(expression, _parent_, _node_)


def _spelled(argument: Any) -> str:
    """Return an argument of a resolver as it is written."""
    if argument is None:
        return "null"
    if isinstance(argument, str) and re.fullmatch(r"[\w./-]+", argument):
        return argument
    return "'" + re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + (found[2] and "\\'"), str(argument)) + "'"
