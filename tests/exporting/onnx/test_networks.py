"""ONNX Runtime computes what the networks of every task compute, with their embeddings, poolings and read-outs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from seqmodels.cells import GRUCell, LSTMCell, MGUCell
from seqmodels.errors import ConfigError
from seqmodels.exporting.checking import TOLERANCE, largest_difference
from seqmodels.exporting.networks import graphs_of
from seqmodels.exporting.onnx.convert import converted
from seqmodels.exporting.onnx.runtime import runner
from seqmodels.layers import AdditiveAttention, Convolution, ConvolutionStack, SelfAttention, recurrent_stack
from seqmodels.models import (
    CTCNetwork,
    DirectForecaster,
    EncoderDecoder,
    LanguageModel,
    RecursiveForecaster,
    SegmentForecaster,
    SequenceClassifier,
    SequenceRegressor,
    Tagger,
    pooling,
)

LSTM = partial(LSTMCell, hidden_size=5)
SIZES: dict[str, Any] = {"input_size": 4, "output_size": 3}
WINDOWS: dict[str, Any] = {"input_size": 5, "output_size": 2, "horizon": 3, "known_size": 2}


def translator(**options: Any) -> EncoderDecoder:
    return EncoderDecoder(
        partial(recurrent_stack, LSTM, bidirectional=True),
        partial(recurrent_stack, GRUCell, hidden_sizes=[6, 6]),
        source_vocab_size=9,
        target_vocab_size=8,
        embedding_size=4,
        **options,
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "classification": lambda: SequenceClassifier(
        LSTM, vocab_size=9, output_size=3, bidirectional=True, pooling=pooling.concat
    ),
    "convolutions": lambda: SequenceClassifier(
        LSTM, front=partial(ConvolutionStack, channels=6, pool=2), pooling=pooling.attention, **SIZES
    ),
    "convolutions_beside_input": lambda: SequenceClassifier(
        LSTM, front=partial(ConvolutionStack, channels=6, concat_input=True), concat_input=True, **SIZES
    ),
    "self_attention": lambda: SequenceClassifier(
        LSTM, top=partial(SelfAttention, heads=1), concat_input=True, pooling=pooling.mean, **SIZES
    ),
    "every_step": lambda: SequenceRegressor(
        partial(MGUCell, hidden_size=4), residual=True, depth=2, pooling=pooling.every_step, **SIZES
    ),
    "language_model": lambda: LanguageModel(LSTM, vocab_size=9, embedding_size=4, tie_weights=True, depth=2),
    "adaptive": lambda: LanguageModel(
        partial(LSTMCell, hidden_size=16), vocab_size=29, embedding_size=4, adaptive_cutoffs=[9, 20]
    ),
    "tagging": lambda: Tagger(
        LSTM, vocab_size=9, character_vocab_size=7, output_size=3, character_hidden_size=3, crf=True
    ),
    "ctc": lambda: CTCNetwork(LSTM, front=partial(Convolution, stride=2), **SIZES),
    "direct": lambda: DirectForecaster(
        LSTM, static_size=2, series=4, series_embedding=3, normalization="window", **WINDOWS
    ),
    "recursive": lambda: RecursiveForecaster(LSTM, input_size=2, output_size=2, horizon=3),
    "segments": lambda: SegmentForecaster(partial(MGUCell, hidden_size=5), segment=2, embedding_size=4, **WINDOWS),
    "translation": lambda: translator(attention=AdditiveAttention, input_feeding="output", copy=True),
    "translation_plain": translator,
}


@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_runtime_computes_what_the_network_computes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")  # compiling kernels would take longer than exporting
    torch.manual_seed(0)
    for graph in graphs_of(NETWORKS[name]()):
        run = runner(converted(graph).SerializeToString(), [port.name for port in graph.inputs])
        assert largest_difference(graph, run) <= TOLERANCE


def test_a_network_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="a Linear cannot be exported: it is none of SequenceNetwork, LanguageModel"):
        graphs_of(nn.Linear(2, 3))


def test_exporting_leaves_the_model_as_it_was() -> None:
    model = SequenceClassifier(LSTM, **SIZES).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graphs_of(model)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert {module.backend for module in model.modules() if hasattr(module, "backend")} == {"auto"}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
