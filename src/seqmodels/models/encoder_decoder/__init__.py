"""The sequence-to-sequence network: an encoder, a bridge between states, a decoder with attention, copying."""

from seqmodels.models.encoder_decoder.copying import Copies
from seqmodels.models.encoder_decoder.decoder import DecoderState, InputFeeding
from seqmodels.models.encoder_decoder.network import EncoderDecoder, Prediction

__all__ = ["Copies", "DecoderState", "EncoderDecoder", "InputFeeding", "Prediction"]
