"""Running a cell's code in a thread of its own, without the caller's modes."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
NAME = "seqmodels-isolated"


def isolated(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a new thread and return its result.

    None of the caller's modes holds there: ``no_grad``, inference, autocast, hooks on saved tensors.
    """
    with ThreadPoolExecutor(1, thread_name_prefix=NAME) as pool:
        return pool.submit(function, *args, **kwargs).result()


def is_isolated() -> bool:
    """Return whether this is such a thread; the lock that guards tracing is then held."""
    return threading.current_thread().name.startswith(NAME)
