"""``torch.nn`` with recurrent layers that run on this package's kernels: a model changes one import.

:class:`LSTM`, :class:`GRU` and :class:`RNN` are drop-in replacements: constructor, call, state layout, parameters and
numbers are those of ``torch.nn``. :class:`Layer` gives any cell the same interface. Every other name is ``torch.nn``'s
own, so that ``from seqmodels import nn`` can take the place of ``from torch import nn``.
"""

from typing import Any

import torch

from seqmodels.errors import nearest
from seqmodels.nn.any_cell import Layer
from seqmodels.nn.drop_ins import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Layer"]


def __getattr__(name: str) -> Any:
    if not hasattr(torch.nn, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{nearest(name, __all__)}")
    return getattr(torch.nn, name)
