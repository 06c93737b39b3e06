"""The public names of the package and where they are defined; ``__init__.py`` imports each when it is first used."""

from seqmodels.exporting import c as c
from seqmodels.exporting import onnx as onnx
from seqmodels.exporting.loading import load as load
from seqmodels.exporting.model import Model as Model
from seqmodels.exporting.model import Step as Step
from seqmodels.tasks.predictors.forecasts import Forecast as Forecast
from seqmodels.tasks.predictors.labels import ClassPrediction as ClassPrediction
from seqmodels.tasks.predictors.labels import LabelsPrediction as LabelsPrediction
from seqmodels.tasks.predictors.texts import TextPrediction as TextPrediction
from seqmodels.tasks.predictors.tokens import TagPrediction as TagPrediction
from seqmodels.tasks.predictors.tokens import TextScore as TextScore
from seqmodels.tasks.predictors.values import ValuesPrediction as ValuesPrediction

__all__: list[str]
