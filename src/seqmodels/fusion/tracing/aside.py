"""Running a cell's code beside the caller's."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
NAME = "seqmodels-aside"


def aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function returns in a thread of its own.

    It has none of the caller's modes there: ``no_grad``, inference, autocast, hooks on saved tensors.
    """
    with ThreadPoolExecutor(1, thread_name_prefix=NAME) as pool:
        return pool.submit(function, *args, **kwargs).result()


def is_aside() -> bool:
    """Say whether this is such a thread: the caller then holds the lock under which cells are traced."""
    return threading.current_thread().name.startswith(NAME)
