"""Data sets as batches of right-padded sequences, and readers of file formats."""

from seqmodels.data.adding import AddingData
from seqmodels.data.ag_news import AGNewsData
from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.data.bpe import BPEVocabulary
from seqmodels.data.collate import pad
from seqmodels.data.copy_memory import CopyMemoryData
from seqmodels.data.csv_series import CSVSeriesData
from seqmodels.data.digits import DigitsData
from seqmodels.data.forecast_preprocessing import ForecastPreprocessing
from seqmodels.data.forecasting import SeriesDataModule
from seqmodels.data.hugging_face import HuggingFaceText
from seqmodels.data.imdb import IMDBData
from seqmodels.data.imdb_text import IMDBTextData
from seqmodels.data.japanese_vowels import JapaneseVowelsData
from seqmodels.data.jsb_chorales import JSBChoralesData
from seqmodels.data.language_modeling import LanguageModelingData
from seqmodels.data.mnist import MNISTData
from seqmodels.data.module import PublishedDataModule, SequenceDataModule
from seqmodels.data.names import NamesData
from seqmodels.data.own_tables import TextCSVData, TextCSVMultilabelData
from seqmodels.data.own_text import TextFolderData
from seqmodels.data.parity import ParityData
from seqmodels.data.piano_roll import RollPreprocessing
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.ptb import PTBData
from seqmodels.data.published_series import (
    AirlinePassengersData,
    DailyMinTemperaturesData,
    ETTData,
    ExchangeRateData,
    MonthlySunspotsData,
    StocksData,
    SunspotsData,
)
from seqmodels.data.python_docs import PythonDocsData
from seqmodels.data.sequences import RaggedDataset, SequenceDataset
from seqmodels.data.series_augmentation import Jitter, Scale, TimeMask, TimeWarp
from seqmodels.data.series_preprocessing import SeriesPreprocessing
from seqmodels.data.sst2 import SST2Data
from seqmodels.data.text import TextData
from seqmodels.data.text_preprocessing import TextPreprocessing
from seqmodels.data.text_windows import TextWindow
from seqmodels.data.tiny_shakespeare import TinyShakespeareData
from seqmodels.data.token_augmentation import TokenDrop, TokenSwap
from seqmodels.data.token_preprocessing import TokenPreprocessing
from seqmodels.data.ucr_uea import UCRUEAData
from seqmodels.data.vocabulary import CharacterVocabulary, Vocabulary, WordVocabulary
from seqmodels.data.vocabulary_learning import BPELearner, CharacterLearner, VocabularyLearner, WordLearner
from seqmodels.data.windows import ForecastBatch

__all__ = [
    "AGNewsData",
    "AddingData",
    "AirlinePassengersData",
    "BPELearner",
    "BPEVocabulary",
    "CSVSeriesData",
    "CharacterLearner",
    "CharacterVocabulary",
    "CopyMemoryData",
    "DailyMinTemperaturesData",
    "DigitsData",
    "ETTData",
    "ExchangeRateData",
    "ForecastBatch",
    "ForecastPreprocessing",
    "HuggingFaceText",
    "IMDBData",
    "IMDBTextData",
    "JSBChoralesData",
    "JapaneseVowelsData",
    "Jitter",
    "LanguageModelingData",
    "MNISTData",
    "MonthlySunspotsData",
    "NamesData",
    "PTBData",
    "ParityData",
    "Preprocessing",
    "PublishedDataModule",
    "PythonDocsData",
    "RaggedDataset",
    "RollPreprocessing",
    "SST2Data",
    "Scale",
    "SequenceBatch",
    "SequenceDataModule",
    "SequenceDataset",
    "SeriesDataModule",
    "SeriesPreprocessing",
    "StocksData",
    "SunspotsData",
    "TargetKind",
    "TextCSVData",
    "TextCSVMultilabelData",
    "TextData",
    "TextFolderData",
    "TextPreprocessing",
    "TextWindow",
    "TimeMask",
    "TimeWarp",
    "TinyShakespeareData",
    "TokenDrop",
    "TokenPreprocessing",
    "TokenSwap",
    "UCRUEAData",
    "Vocabulary",
    "VocabularyLearner",
    "WordLearner",
    "WordVocabulary",
    "pad",
]
