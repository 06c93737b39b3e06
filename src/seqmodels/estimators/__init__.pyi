"""The public names of the package and where they are defined; ``__init__.py`` imports each when it is first used."""

from seqmodels.estimators.forecaster import Forecaster as Forecaster
from seqmodels.estimators.labelled import Classifier as Classifier
from seqmodels.estimators.labelled import Regressor as Regressor
from seqmodels.estimators.texts import LanguageModel as LanguageModel
from seqmodels.estimators.texts import Tagger as Tagger
from seqmodels.estimators.texts import Translator as Translator

__all__: list[str]
