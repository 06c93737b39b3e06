"""What must not be traced by ``torch.compile``: the one file that knows torch's private decorator."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch._compile import _disable_dynamo  # torch.compiler.disable imports all of dynamo: a second at every start

P = ParamSpec("P")
R = TypeVar("R")


def outside_graphs(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that ``torch.compile`` calls instead of tracing.

    Where nothing can trace it, as nobody has imported dynamo, it is called as it is: the import takes a second or two.
    """
    untraced = _disable_dynamo(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        may_be_traced = torch.compiler.is_compiling() or "torch._dynamo" in sys.modules
        return untraced(*args, **kwargs) if may_be_traced else function(*args, **kwargs)

    return call
