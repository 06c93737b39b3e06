"""Tasks: LightningModules with the loss, metrics and optimiser of a network."""

from seqmodels.tasks.classification import Classification
from seqmodels.tasks.forecasting import Forecasting
from seqmodels.tasks.language_modeling import LanguageModeling
from seqmodels.tasks.multilabel import MultilabelClassification
from seqmodels.tasks.regression import Regression
from seqmodels.tasks.seq2seq import Seq2Seq
from seqmodels.tasks.tagging import Tagging
from seqmodels.tasks.task import Task
from seqmodels.tasks.texts.ctc import CTC
from seqmodels.tasks.texts.ctc_search import CTCSearch
from seqmodels.tasks.texts.search import Search

__all__ = [
    "CTC",
    "CTCSearch",
    "Classification",
    "Forecasting",
    "LanguageModeling",
    "MultilabelClassification",
    "Regression",
    "Search",
    "Seq2Seq",
    "Tagging",
    "Task",
]
