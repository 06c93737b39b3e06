"""Write a recurrent cell as its equations; train it on any sequence task at the speed of a fused kernel."""

from typing import TYPE_CHECKING

from seqmodels.system.names import lazy

if TYPE_CHECKING:
    from seqmodels import backends as backends
    from seqmodels import cells as cells
    from seqmodels import data as data
    from seqmodels import decoding as decoding
    from seqmodels import interop as interop
    from seqmodels import layers as layers
    from seqmodels import models as models
    from seqmodels import nn as nn
    from seqmodels import tasks as tasks
    from seqmodels import training as training
    from seqmodels.backends import unroll as unroll
    from seqmodels.cells import Cell as Cell
    from seqmodels.layers import Bidirectional as Bidirectional
    from seqmodels.layers import Recurrent as Recurrent
    from seqmodels.layers import Stack as Stack
    from seqmodels.layers import recurrent_stack as recurrent_stack

__version__ = "0.1.0"

_PACKAGES = ("backends", "cells", "data", "decoding", "interop", "layers", "models", "nn", "tasks", "training")
_HOMES = {name: f"seqmodels.{name}" for name in _PACKAGES} | {
    "Bidirectional": "seqmodels.layers",
    "Cell": "seqmodels.cells",
    "Recurrent": "seqmodels.layers",
    "Stack": "seqmodels.layers",
    "recurrent_stack": "seqmodels.layers",
    "unroll": "seqmodels.backends",
}
__all__ = ["Bidirectional", "Cell", "Recurrent", "Stack", "__version__", "recurrent_stack", "unroll"]
__getattr__, __dir__ = lazy(__name__, _HOMES)
