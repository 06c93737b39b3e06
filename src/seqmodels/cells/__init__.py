"""Recurrent cells, each file one published cell; wrappers that regularise any of them; initialisers in ``init``."""

from typing import Any

from seqmodels.cells import init
from seqmodels.cells.activation import ACTIVATIONS
from seqmodels.cells.base import Cell, LinearCell
from seqmodels.cells.concat_linear import ConcatLinearCell, ConcatLinearState
from seqmodels.cells.elman import ElmanCell, ElmanState
from seqmodels.cells.forget_input import ForgetInputCell, ForgetInputState
from seqmodels.cells.forget_input_output import ForgetInputOutputCell, ForgetInputOutputState
from seqmodels.cells.gru import GRUCell, GRUState
from seqmodels.cells.gru_layer_norm import LayerNormGRUCell, LayerNormGRUState
from seqmodels.cells.gru_reset_after import ResetAfterGRUCell, ResetAfterGRUState
from seqmodels.cells.ind_rnn import IndRNNCell, IndRNNState
from seqmodels.cells.jordan import JordanCell, JordanState
from seqmodels.cells.lstm import LSTMCell, LSTMState
from seqmodels.cells.lstm_coupled import CoupledLSTMCell, CoupledLSTMState
from seqmodels.cells.lstm_layer_norm import LayerNormLSTMCell, LayerNormLSTMState
from seqmodels.cells.lstm_no_output_gate import NoOutputGateLSTMCell, NoOutputGateLSTMState
from seqmodels.cells.lstm_peephole import PeepholeLSTMCell, PeepholeLSTMState
from seqmodels.cells.lstm_projected import ProjectedLSTMCell, ProjectedLSTMState
from seqmodels.cells.mgu import MGUCell, MGUState
from seqmodels.cells.min_gru import MinGRUCell, MinGRUState
from seqmodels.cells.min_lstm import MinLSTMCell, MinLSTMState
from seqmodels.cells.wrappers.learned_initial_state import LearnedInitialState
from seqmodels.cells.wrappers.recurrent_dropout import MaskedInput, RecurrentDropout
from seqmodels.cells.wrappers.recurrent_layer_norm import RecurrentLayerNorm
from seqmodels.cells.wrappers.weight_drop import WeightDrop, WeightDropInput
from seqmodels.cells.wrappers.wrapper import Wrapper, wrapped
from seqmodels.cells.wrappers.zoneout import Zoneout, ZoneoutInput

ALL_CELLS: tuple[type[Cell[Any]], ...] = (
    ElmanCell,
    ConcatLinearCell,
    JordanCell,
    LSTMCell,
    NoOutputGateLSTMCell,
    GRUCell,
    ResetAfterGRUCell,
    ForgetInputCell,
    ForgetInputOutputCell,
    CoupledLSTMCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    LayerNormLSTMCell,
    LayerNormGRUCell,
    MGUCell,
    IndRNNCell,
    MinGRUCell,
    MinLSTMCell,
)
"""Every published cell, those of introductory texts first."""

__all__ = [
    "ACTIVATIONS",
    "ALL_CELLS",
    "Cell",
    "ConcatLinearCell",
    "ConcatLinearState",
    "CoupledLSTMCell",
    "CoupledLSTMState",
    "ElmanCell",
    "ElmanState",
    "ForgetInputCell",
    "ForgetInputOutputCell",
    "ForgetInputOutputState",
    "ForgetInputState",
    "GRUCell",
    "GRUState",
    "IndRNNCell",
    "IndRNNState",
    "JordanCell",
    "JordanState",
    "LSTMCell",
    "LSTMState",
    "LayerNormGRUCell",
    "LayerNormGRUState",
    "LayerNormLSTMCell",
    "LayerNormLSTMState",
    "LearnedInitialState",
    "LinearCell",
    "MGUCell",
    "MGUState",
    "MaskedInput",
    "MinGRUCell",
    "MinGRUState",
    "MinLSTMCell",
    "MinLSTMState",
    "NoOutputGateLSTMCell",
    "NoOutputGateLSTMState",
    "PeepholeLSTMCell",
    "PeepholeLSTMState",
    "ProjectedLSTMCell",
    "ProjectedLSTMState",
    "RecurrentDropout",
    "RecurrentLayerNorm",
    "ResetAfterGRUCell",
    "ResetAfterGRUState",
    "WeightDrop",
    "WeightDropInput",
    "Wrapper",
    "Zoneout",
    "ZoneoutInput",
    "init",
    "wrapped",
]
