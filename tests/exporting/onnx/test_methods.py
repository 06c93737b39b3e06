"""Methods that run a graph compute what the methods of the network do, which the loss of accuracy relies on."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.data import Words
from seqmodels.exporting.networks import graphs_of
from seqmodels.exporting.onnx.convert import converted
from seqmodels.exporting.onnx.methods import methods_of
from seqmodels.exporting.onnx.runtime import runner
from seqmodels.layers import Convolution
from seqmodels.models import CTCNetwork, DirectForecaster, LanguageModel, SegmentForecaster, SequenceClassifier, Tagger
from tests.exporting.onnx.test_networks import translator

LSTM = partial(LSTMCell, hidden_size=5)
LENGTHS = torch.tensor([7, 2, 5])
NUMBERS, TOKENS = torch.randn(3, 7, 2), torch.arange(21).view(3, 7) % 9
WORDS = Words(TOKENS, TOKENS % 4, torch.arange(12).view(4, 3) % 5, torch.tensor([3, 1, 2, 3]))
HALVED = partial(Convolution, channels=4, stride=2)


def of(model: nn.Module, *inputs: Any) -> Any:
    with torch.no_grad():
        return model(*inputs)


def loss(model: Any, tokens: Tensor) -> Any:
    """Return the losses of two windows, the second from the state after the first."""
    with torch.no_grad():
        read = model.read(tokens, None, LENGTHS)
        state = model.renew(read.state, torch.tensor([True, False, False]))
        read = model.read(tokens, state, LENGTHS)
        return model.losses(read.features[:, 0], tokens[:, 1])


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], Any]]] = {
    "classifier": (
        lambda: SequenceClassifier(LSTM, input_size=2, output_size=3, front=HALVED),
        lambda m: of(m, NUMBERS, LENGTHS),
    ),
    "ctc": (
        lambda: CTCNetwork(GRUCell, input_size=2, output_size=4, hidden_sizes=[5], front=HALVED),
        lambda m: of(m, NUMBERS, LENGTHS),
    ),
    "tagger": (
        lambda: Tagger(LSTM, vocab_size=9, character_vocab_size=5, output_size=3),
        lambda m: of(m, WORDS, LENGTHS),
    ),
    "language_model": (lambda: LanguageModel(LSTM, vocab_size=9, embedding_size=4), lambda m: loss(m, TOKENS)),
    "forecaster": (
        lambda: DirectForecaster(
            GRUCell, input_size=2, output_size=1, horizon=3, known_size=1, static_size=2, hidden_sizes=[5]
        ),
        lambda m: of(
            m, NUMBERS, torch.randn(3, 3, 1, generator=torch.Generator().manual_seed(0)), None, torch.ones(3, 2)
        ),
    ),
    "segments": (
        lambda: SegmentForecaster(LSTM, input_size=2, output_size=2, horizon=3, segment=2, embedding_size=4),
        lambda m: of(m, NUMBERS, torch.zeros(3, 3, 0)),
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_methods_that_run_a_graph_compute_what_the_network_does(name: str) -> None:
    torch.manual_seed(0)
    make, use = CASES[name]
    model = make().eval()
    (graph,) = graphs_of(model)
    content = converted(graph).SerializeToString()
    methods = methods_of(model, graph, runner(content, [port.name for port in graph.inputs]))
    own = deepcopy(model)
    for method, function in methods.items():
        setattr(own, method, function)
    expected, found = use(model), use(own)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_two_graphs_are_no_methods_of_a_network() -> None:
    assert methods_of(translator(), graphs_of(translator())[0], lambda inputs: inputs) == {}
