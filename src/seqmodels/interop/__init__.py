"""Exact conversion of weights from and to the recurrent layers of ``torch.nn`` and of Keras."""

from seqmodels.interop.keras import from_keras, to_keras
from seqmodels.interop.pytorch import from_torch, to_torch

__all__ = ["from_keras", "from_torch", "to_keras", "to_torch"]
