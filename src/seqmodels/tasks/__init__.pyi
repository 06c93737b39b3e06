"""The public names of the package and where they are defined; ``__init__.py`` imports each when it is first used."""

from seqmodels.tasks.classification import Classification as Classification
from seqmodels.tasks.forecasting import Forecasting as Forecasting
from seqmodels.tasks.language_modeling import LanguageModeling as LanguageModeling
from seqmodels.tasks.multilabel import MultilabelClassification as MultilabelClassification
from seqmodels.tasks.regression import Regression as Regression
from seqmodels.tasks.seq2seq import Seq2Seq as Seq2Seq
from seqmodels.tasks.tagging import Tagging as Tagging
from seqmodels.tasks.task import Task as Task
from seqmodels.tasks.texts.ctc import CTC as CTC
from seqmodels.tasks.texts.ctc_search import CTCSearch as CTCSearch
from seqmodels.tasks.texts.search import Search as Search

__all__: list[str]
