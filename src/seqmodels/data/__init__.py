"""Data sets as batches of right-padded sequences, and readers of file formats."""

from seqmodels.data.adding import AddingData
from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.data.collate import pad
from seqmodels.data.digits import DigitsData
from seqmodels.data.mnist import MNISTData
from seqmodels.data.module import PublishedDataModule, SequenceDataModule
from seqmodels.data.parity import ParityData
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.sequences import RaggedDataset, SequenceDataset

__all__ = [
    "AddingData",
    "DigitsData",
    "MNISTData",
    "ParityData",
    "Preprocessing",
    "PublishedDataModule",
    "RaggedDataset",
    "SequenceBatch",
    "SequenceDataModule",
    "SequenceDataset",
    "TargetKind",
    "pad",
]
