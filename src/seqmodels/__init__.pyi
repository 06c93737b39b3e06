"""The public names of the package and where they are defined; ``__init__.py`` imports each when it is first used."""

from seqmodels import backends as backends
from seqmodels import cells as cells
from seqmodels import data as data
from seqmodels import decoding as decoding
from seqmodels import estimators as estimators
from seqmodels import exporting as exporting
from seqmodels import inspection as inspection
from seqmodels import interop as interop
from seqmodels import layers as layers
from seqmodels import models as models
from seqmodels import nn as nn
from seqmodels import serving as serving
from seqmodels import tasks as tasks
from seqmodels import training as training
from seqmodels.backends import unroll as unroll
from seqmodels.cells import Cell as Cell
from seqmodels.cells import ConcatLinearCell as ConcatLinearCell
from seqmodels.cells import CoupledLSTMCell as CoupledLSTMCell
from seqmodels.cells import ElmanCell as ElmanCell
from seqmodels.cells import ForgetInputCell as ForgetInputCell
from seqmodels.cells import ForgetInputOutputCell as ForgetInputOutputCell
from seqmodels.cells import GRUCell as GRUCell
from seqmodels.cells import IndRNNCell as IndRNNCell
from seqmodels.cells import JordanCell as JordanCell
from seqmodels.cells import LayerNormGRUCell as LayerNormGRUCell
from seqmodels.cells import LayerNormLSTMCell as LayerNormLSTMCell
from seqmodels.cells import LSTMCell as LSTMCell
from seqmodels.cells import MGUCell as MGUCell
from seqmodels.cells import MinGRUCell as MinGRUCell
from seqmodels.cells import MinLSTMCell as MinLSTMCell
from seqmodels.cells import NoOutputGateLSTMCell as NoOutputGateLSTMCell
from seqmodels.cells import PeepholeLSTMCell as PeepholeLSTMCell
from seqmodels.cells import ProjectedLSTMCell as ProjectedLSTMCell
from seqmodels.cells import ResetAfterGRUCell as ResetAfterGRUCell
from seqmodels.exporting import load as load
from seqmodels.layers import Bidirectional as Bidirectional
from seqmodels.layers import Recurrent as Recurrent
from seqmodels.layers import Stack as Stack
from seqmodels.layers import recurrent_stack as recurrent_stack

__all__: list[str]
__version__: str
