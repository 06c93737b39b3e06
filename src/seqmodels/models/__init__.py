"""Networks, one for each kind of task: plain modules ``(inputs, lengths) -> outputs``."""

from seqmodels.models import likelihoods, pooling, scheduled_sampling
from seqmodels.models.ctc_network import CTCNetwork
from seqmodels.models.dense import DenseClassifier
from seqmodels.models.encoder_decoder import Copies, DecoderState, EncoderDecoder, Prediction
from seqmodels.models.forecaster import DirectForecaster, Forecaster, RecursiveForecaster
from seqmodels.models.language_model import LanguageModel
from seqmodels.models.segment_forecaster import SegmentForecaster
from seqmodels.models.sequence_network import SequenceClassifier, SequenceNetwork, SequenceRegressor
from seqmodels.models.tagger import Tagger

__all__ = [
    "CTCNetwork",
    "Copies",
    "DecoderState",
    "DenseClassifier",
    "DirectForecaster",
    "EncoderDecoder",
    "Forecaster",
    "LanguageModel",
    "Prediction",
    "RecursiveForecaster",
    "SegmentForecaster",
    "SequenceClassifier",
    "SequenceNetwork",
    "SequenceRegressor",
    "Tagger",
    "likelihoods",
    "pooling",
    "scheduled_sampling",
]
