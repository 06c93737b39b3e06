"""Data sets, readers of file formats, and batches of right-padded sequences."""

from typing import TYPE_CHECKING

from seqmodels.data.sets import OWN_FILES, SETS
from seqmodels.system.names import lazy

if TYPE_CHECKING:
    from seqmodels.data.batch import SequenceBatch as SequenceBatch
    from seqmodels.data.batch import TargetKind as TargetKind
    from seqmodels.data.catalog import load as load
    from seqmodels.data.collate import pad as pad
    from seqmodels.data.formats.series_table import SeriesTable as SeriesTable
    from seqmodels.data.loading import Loading as Loading
    from seqmodels.data.module import DataModule as DataModule
    from seqmodels.data.preparation import Preparation as Preparation
    from seqmodels.data.preparation import Prepared as Prepared
    from seqmodels.data.preprocessing import Preprocessing as Preprocessing
    from seqmodels.data.raw import Documents as Documents
    from seqmodels.data.raw import LabelledSeries as LabelledSeries
    from seqmodels.data.raw import LabelledTexts as LabelledTexts
    from seqmodels.data.raw import Splits as Splits
    from seqmodels.data.sequences import RaggedDataset as RaggedDataset
    from seqmodels.data.sequences import SequenceDataset as SequenceDataset
    from seqmodels.data.series.augmentation import Jitter as Jitter
    from seqmodels.data.series.augmentation import Scale as Scale
    from seqmodels.data.series.augmentation import TimeMask as TimeMask
    from seqmodels.data.series.augmentation import TimeWarp as TimeWarp
    from seqmodels.data.series.forecast_preprocessing import ForecastPreprocessing as ForecastPreprocessing
    from seqmodels.data.series.forecasting import ForecastPreparation as ForecastPreparation
    from seqmodels.data.series.preparation import Standardization as Standardization
    from seqmodels.data.series.preprocessing import SeriesPreprocessing as SeriesPreprocessing
    from seqmodels.data.series.roll_preprocessing import RollPreprocessing as RollPreprocessing
    from seqmodels.data.series.windows import ForecastBatch as ForecastBatch
    from seqmodels.data.sets.adding import AddingData as AddingData
    from seqmodels.data.sets.ag_news import AGNewsData as AGNewsData
    from seqmodels.data.sets.airline_passengers import AirlinePassengersData as AirlinePassengersData
    from seqmodels.data.sets.copy_memory import CopyMemoryData as CopyMemoryData
    from seqmodels.data.sets.csv_series import CSVSeriesData as CSVSeriesData
    from seqmodels.data.sets.daily_min_temperatures import DailyMinTemperaturesData as DailyMinTemperaturesData
    from seqmodels.data.sets.digits import DigitsData as DigitsData
    from seqmodels.data.sets.ett import ETTData as ETTData
    from seqmodels.data.sets.exchange_rate import ExchangeRateData as ExchangeRateData
    from seqmodels.data.sets.hf_text import HuggingFaceText as HuggingFaceText
    from seqmodels.data.sets.imdb import IMDBData as IMDBData
    from seqmodels.data.sets.imdb_text import IMDBTextData as IMDBTextData
    from seqmodels.data.sets.japanese_vowels import JapaneseVowelsData as JapaneseVowelsData
    from seqmodels.data.sets.jsb_chorales import JSBChoralesData as JSBChoralesData
    from seqmodels.data.sets.mnist import MNISTData as MNISTData
    from seqmodels.data.sets.monthly_sunspots import MonthlySunspotsData as MonthlySunspotsData
    from seqmodels.data.sets.names import NamesData as NamesData
    from seqmodels.data.sets.parity import ParityData as ParityData
    from seqmodels.data.sets.ptb import PTBData as PTBData
    from seqmodels.data.sets.python_docs import PythonDocsData as PythonDocsData
    from seqmodels.data.sets.sst2 import SST2Data as SST2Data
    from seqmodels.data.sets.stocks import StocksData as StocksData
    from seqmodels.data.sets.sunspots import SunspotsData as SunspotsData
    from seqmodels.data.sets.text import TextData as TextData
    from seqmodels.data.sets.text_csv import TextCSVData as TextCSVData
    from seqmodels.data.sets.text_csv_multilabel import TextCSVMultilabelData as TextCSVMultilabelData
    from seqmodels.data.sets.text_folder import TextFolderData as TextFolderData
    from seqmodels.data.sets.tiny_shakespeare import TinyShakespeareData as TinyShakespeareData
    from seqmodels.data.sets.ucr_uea import UCRUEAData as UCRUEAData
    from seqmodels.data.source import PublishedSource as PublishedSource
    from seqmodels.data.source import Source as Source
    from seqmodels.data.text.bpe import BPEVocabulary as BPEVocabulary
    from seqmodels.data.text.labelled import TextPreparation as TextPreparation
    from seqmodels.data.text.language_modeling import TokenizedPreparation as TokenizedPreparation
    from seqmodels.data.text.text_preprocessing import TextPreprocessing as TextPreprocessing
    from seqmodels.data.text.token_augmentation import TokenDrop as TokenDrop
    from seqmodels.data.text.token_augmentation import TokenSwap as TokenSwap
    from seqmodels.data.text.token_preprocessing import TokenPreprocessing as TokenPreprocessing
    from seqmodels.data.text.vocabulary import CharacterVocabulary as CharacterVocabulary
    from seqmodels.data.text.vocabulary import Vocabulary as Vocabulary
    from seqmodels.data.text.vocabulary import WordVocabulary as WordVocabulary
    from seqmodels.data.text.vocabulary_learning import BPELearner as BPELearner
    from seqmodels.data.text.vocabulary_learning import CharacterLearner as CharacterLearner
    from seqmodels.data.text.vocabulary_learning import VocabularyLearner as VocabularyLearner
    from seqmodels.data.text.vocabulary_learning import WordLearner as WordLearner
    from seqmodels.data.text.windows import TextWindow as TextWindow

_NAMES = {
    "batch": ("SequenceBatch", "TargetKind"),
    "catalog": ("load",),
    "collate": ("pad",),
    "formats.series_table": ("SeriesTable",),
    "loading": ("Loading",),
    "module": ("DataModule",),
    "preparation": ("Preparation", "Prepared"),
    "preprocessing": ("Preprocessing",),
    "raw": ("Documents", "LabelledSeries", "LabelledTexts", "Splits"),
    "sequences": ("RaggedDataset", "SequenceDataset"),
    "series.augmentation": ("Jitter", "Scale", "TimeMask", "TimeWarp"),
    "series.forecast_preprocessing": ("ForecastPreprocessing",),
    "series.forecasting": ("ForecastPreparation",),
    "series.preparation": ("Standardization",),
    "series.preprocessing": ("SeriesPreprocessing",),
    "series.roll_preprocessing": ("RollPreprocessing",),
    "series.windows": ("ForecastBatch",),
    "source": ("PublishedSource", "Source"),
    "text.bpe": ("BPEVocabulary",),
    "text.labelled": ("TextPreparation",),
    "text.language_modeling": ("TokenizedPreparation",),
    "text.text_preprocessing": ("TextPreprocessing",),
    "text.token_augmentation": ("TokenDrop", "TokenSwap"),
    "text.token_preprocessing": ("TokenPreprocessing",),
    "text.vocabulary": ("CharacterVocabulary", "Vocabulary", "WordVocabulary"),
    "text.vocabulary_learning": ("BPELearner", "CharacterLearner", "VocabularyLearner", "WordLearner"),
    "text.windows": ("TextWindow",),
}
_HOMES = {name: f"seqmodels.data.{module}" for module, names in _NAMES.items() for name in names}
_HOMES |= {name: f"seqmodels.data.sets.{module}" for module, name in (SETS | OWN_FILES).items()}
__all__ = sorted(_HOMES)  # noqa: PLE0605
__getattr__, __dir__ = lazy(__name__, _HOMES)
