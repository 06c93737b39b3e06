"""The base class that an object must have at its place in a configuration."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from seqmodels.errors import TargetRefused

KINDS = {
    "cell": "seqmodels.cells.Cell",
    "model": "torch.nn.Module",
    "task": "seqmodels.tasks.Task",
    "optimizer": "torch.optim.Optimizer",
    "data": "seqmodels.data.Source",
    "trainer": "lightning.pytorch.Trainer",
    "callbacks.*": "lightning.pytorch.Callback",
    "logger.*": "lightning.pytorch.loggers.Logger",
}
"""Base classes by place; other places accept any class or function."""


def check_kind(thing: Callable[..., Any], place: str, target: str, *, listed: bool) -> None:
    """Check that a class is of the kind required at its place; a function is accepted if it is on the allow-list.

    Raises:
        TargetRefused: it is of another kind.
    """
    part, _, rest = place.partition(".")
    kind = KINDS.get(place) or (KINDS.get(f"{part}.*") if rest and "." not in rest else None)
    if kind is None or (listed and not inspect.isclass(thing)):
        return
    module, _, name = kind.rpartition(".")
    if not (inspect.isclass(thing) and issubclass(thing, getattr(import_module(module), name))):
        raise TargetRefused(f"{place}._target_ = {target!r} is not a {kind}, as required at this place")
