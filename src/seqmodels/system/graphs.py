"""What must not be traced by ``torch.compile``: the one file that knows torch's private decorator."""

import sys

import torch
from torch._compile import _disable_dynamo  # torch.compiler.disable imports all of dynamo: a second at every start

outside_graphs = _disable_dynamo
"""Decorates a function that ``torch.compile`` calls instead of tracing; the first call imports all of dynamo."""


def may_be_traced() -> bool:
    """Return whether ``torch.compile`` may be following this code.

    Where it cannot, as nobody has imported it, the function that :func:`outside_graphs` decorates is as good, and does
    not take a second or two to import dynamo.
    """
    return torch.compiler.is_compiling() or "torch._dynamo" in sys.modules
