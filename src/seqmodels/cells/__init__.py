"""Recurrent cells: each file holds one published cell, its equations and their transcription."""

from seqmodels.cells.base import Cell, LinearCell
from seqmodels.cells.gru import GRUCell, GRUState
from seqmodels.cells.lstm import LSTMCell, LSTMState

__all__ = ["Cell", "GRUCell", "GRUState", "LSTMCell", "LSTMState", "LinearCell"]
