"""Data sets as batches of right-padded sequences, and readers of file formats."""

from seqmodels.data.adding import AddingData
from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.data.collate import pad
from seqmodels.data.copy_memory import CopyMemoryData
from seqmodels.data.digits import DigitsData
from seqmodels.data.japanese_vowels import JapaneseVowelsData
from seqmodels.data.jsb_chorales import JSBChoralesData
from seqmodels.data.mnist import MNISTData
from seqmodels.data.module import PublishedDataModule, SequenceDataModule
from seqmodels.data.parity import ParityData
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.sequences import RaggedDataset, SequenceDataset
from seqmodels.data.ucr_uea import UCRUEAData

__all__ = [
    "AddingData",
    "CopyMemoryData",
    "DigitsData",
    "JSBChoralesData",
    "JapaneseVowelsData",
    "MNISTData",
    "ParityData",
    "Preprocessing",
    "PublishedDataModule",
    "RaggedDataset",
    "SequenceBatch",
    "SequenceDataModule",
    "SequenceDataset",
    "TargetKind",
    "UCRUEAData",
    "pad",
]
