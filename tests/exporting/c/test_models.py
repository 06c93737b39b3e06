"""Whole networks in C: embeddings, stacks, both directions, poolings, output layers; and what is refused."""

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.data import Words
from seqmodels.errors import ConfigError
from seqmodels.exporting.c import export_c
from seqmodels.exporting.c.comparing import expected, methods_of
from seqmodels.exporting.c.compiled import Compiled, Context
from seqmodels.exporting.c.network import network_of
from seqmodels.exporting.c.source import Where, source
from seqmodels.exporting.c.weights import rounded
from seqmodels.layers import ConcatInput, Convolution, ConvolutionStack, LinearChainCRF, SelfAttention, recurrent_stack
from seqmodels.models import (
    CTCNetwork,
    DenseClassifier,
    DirectForecaster,
    LanguageModel,
    RecursiveForecaster,
    SegmentForecaster,
    SequenceClassifier,
    SequenceRegressor,
    Tagger,
    pooling,
)
from seqmodels.models.likelihoods import GaussianForecast, QuantileForecast
from tests.exporting.c.conftest import FLAGS, Batch, cases

LSTM = partial(LSTMCell, hidden_size=5)
Classifier = partial(SequenceClassifier, LSTM, output_size=3)
SelfAttention1 = partial(SelfAttention, heads=1)
Forecaster = partial(DirectForecaster, GRUCell, input_size=3, output_size=2, horizon=4, hidden_sizes=[5])


class OwnFront(nn.Identity):
    output_size, shortens = 2, False


def crf_tagger() -> Tagger:
    """Return a tagger whose transitions decide: with those of zero, each word has the tag of its highest score."""
    model = Tagger(LSTM, vocab_size=9, character_vocab_size=2, output_size=4, character_hidden_size=0, crf=True)
    for weight in model.tags.parameters():
        nn.init.normal_(weight, std=2)
    return model


def models() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    found: dict[str, nn.Module] = {
        "stack": recurrent_stack([LSTM, partial(GRUCell, hidden_size=5)], 3, residual=True),
        "both": recurrent_stack(GRUCell, 3, hidden_sizes=[4, 4], bidirectional=True, residual=True),
        "concat_input": ConcatInput(recurrent_stack(LSTM, 3)),
        "regressor": SequenceRegressor(LSTM, input_size=2, output_size=1, pooling=pooling.concat, concat_input=True),
        "tags": Classifier(vocab_size=7, embedding_size=4, pooling=pooling.every_step),
        "language_model": LanguageModel(LSTM, vocab_size=11, embedding_size=4, depth=2),
        "tied": LanguageModel(LSTM, vocab_size=11, embedding_size=4, tie_weights=True),
        "rare_words": LanguageModel(LSTMCell, vocab_size=11, embedding_size=4, hidden_sizes=[6], adaptive_cutoffs=[5]),
        "ctc": CTCNetwork(GRUCell, input_size=3, output_size=4, hidden_sizes=[5]),
        "tagger": Tagger(LSTM, vocab_size=9, character_vocab_size=2, output_size=3, character_hidden_size=0),
        "crf": crf_tagger(),
        "gaussian": Forecaster(normalization="window", likelihood=GaussianForecast()),
    }
    # kernels of odd, even and one step, wider than a short sequence; with and without what follows; several panels
    strided = partial(Convolution, channels=6, kernel_size=4, stride=2, pool=3, norm="instance")
    series = partial(ConvolutionStack, channels=70)
    halved = partial(ConvolutionStack, channels=6, pool=2, kernel_sizes=(3, 4), norm=None)
    found |= {
        "series_default": Classifier(
            input_size=2, front=series, pooling=pooling.maximum, bidirectional=True, concat_input=True
        ),
        "series_beside_input": Classifier(
            input_size=2,
            front=partial(series, channels=6, concat_input=True),
            pooling=pooling.concat,
            concat_input=True,
        ),
        "strided_tokens": Classifier(vocab_size=7, embedding_size=4, front=strided),
        "pointwise_front": Classifier(
            input_size=2, front=partial(Convolution, channels=6, kernel_size=1), pooling=pooling.every_step
        ),
        "ctc_of_fewer_steps": CTCNetwork(GRUCell, input_size=3, output_size=4, hidden_sizes=[5], front=halved),
        "attention": Classifier(input_size=2, pooling=pooling.attention),
        "attention_both_ways": Classifier(input_size=2, pooling=pooling.attention, bidirectional=True),
        "top": Classifier(input_size=2, front=strided, top=partial(SelfAttention, heads=5), pooling=pooling.attention),
        "top_both_ways": Classifier(
            vocab_size=7, embedding_size=4, top=SelfAttention1, bidirectional=True, pooling=pooling.every_step
        ),
        "self_attention": SelfAttention(6, heads=2),
    }
    found |= {f"forecaster_{n}": Forecaster(normalization=n) for n in ("none", "last", "window")}
    own: dict[str, Any] = {
        "input_size": 3,
        "output_size": 2,
        "horizon": 4,
        "hidden_sizes": [5],
    }  # one feature is known ahead
    more: dict[str, Any] = {**own, "known_size": 1, "static_size": 2, "series": 3, "series_embedding": 4}
    found |= {
        "forecaster_of_all": DirectForecaster(GRUCell, **more, normalization="window"),
        "forecaster_streams": DirectForecaster(GRUCell, **more, normalization="none", depth=1),
        "recursive_of_all": RecursiveForecaster(GRUCell, **more, likelihood=GaussianForecast()),
        "recursive_window": RecursiveForecaster(LSTMCell, **{**own, "input_size": 2}, normalization="window"),
        "recursive_none": RecursiveForecaster(LSTMCell, **{**own, "input_size": 2}, normalization="none"),
    }
    segments = partial(SegmentForecaster, output_size=2, horizon=4, segment=3, embedding_size=6)
    beside = {name: more[name] for name in ("input_size", "known_size", "static_size", "series", "series_embedding")}
    found |= {
        "segments": segments(LSTM, input_size=2, normalization="none"),
        "segments_of_all": segments(partial(GRUCell, hidden_size=5), **beside, likelihood=GaussianForecast()),
        "segments_window": segments(LSTM, input_size=4, normalization="window", likelihood=QuantileForecast()),
    }
    for name in ("last", "mean", "maximum", "concat"):
        kind = getattr(pooling, name)
        found[f"{name}_of_tokens"] = Classifier(vocab_size=7, embedding_size=4, pooling=kind)
        found[f"{name}_both_ways"] = Classifier(input_size=2, pooling=kind, bidirectional=True)
    return found


MODELS = models()
CLANG = {
    "segments_of_all",
    "segments_window",
    "recursive_of_all",
    "both",
    "concat_of_tokens",
    "concat_both_ways",
    "gaussian",
    "series_default",
    "ctc_of_fewer_steps",
    "top",
}


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return Batch(MODELS, CLANG, tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize(("compiler", "name"), cases(MODELS, CLANG))
def test_the_c_of_a_model_computes_what_pytorch_does(batch: Batch, compiler: str, name: str) -> None:
    assert batch.difference(compiler, name) <= 1e-5


@pytest.mark.parametrize("name", ["mean_of_tokens", "concat_of_tokens", "attention"])
def test_a_step_returns_the_output_of_the_sequence_so_far(batch: Batch, name: str) -> None:
    (*_, answer), (*_, steps) = batch.build("gcc", name), batch.inputs(name)
    assert answer.steps is not None
    sofar = expected(MODELS[name], [steps[: n + 1] for n in range(len(steps))])
    np.testing.assert_allclose(answer.steps, np.stack(sofar), rtol=0, atol=1e-5)


def test_tags_are_those_of_the_crf(batch: Batch) -> None:
    answer = batch.build("gcc", "crf")[-1]
    scores = torch.tensor(answer.run)
    assert answer.tags is not None
    assert answer.tags.tolist() == crf(MODELS["crf"]).best(scores[None])[0].tolist() != scores.argmax(-1).tolist()


def crf(model: nn.Module) -> LinearChainCRF:
    assert isinstance(model, Tagger)
    assert isinstance(model.tags, LinearChainCRF)
    return model.tags


@pytest.mark.parametrize(
    "name", ["last_both_ways", "tags", "crf", "ctc_of_fewer_steps", "recursive_of_all", "segments_of_all"]
)
def test_methods_that_run_the_c_compute_what_the_network_does(batch: Batch, name: str) -> None:
    model, lengths = copy.deepcopy(MODELS[name]).eval(), torch.tensor([7, 2, 5])
    shape, program = network_of(model), batch.program("gcc")
    x: Any = torch.randn(3, 7, shape.inputs) if shape.table is None else torch.arange(21).view(3, 7) % 7
    x = Words(x, x, x[:, :1], lengths.clamp(max=1)) if isinstance(model, Tagger) else x
    future = torch.randn(3, 4, 1), None, torch.randn(3, 2), torch.tensor([2, 0, 1])
    given = (x, *future) if isinstance(model, RecursiveForecaster | SegmentForecaster) else (x, lengths)
    forward = methods_of(model, partial(program, name))["forward"]
    with torch.no_grad():
        expected_, found = model(*given), forward(*given)
    if name in ("tags", "crf"):  # what lies past a length means nothing
        real = torch.arange(7) < lengths[:, None]
        expected_, found = expected_[real], found[real]
    if name == "ctc_of_fewer_steps":
        (expected_, ends), (found, found_ends) = expected_, found
        assert found_ends.tolist() == ends.tolist()
        real = torch.arange(expected_.shape[1]) < ends[:, None]
        expected_, found = expected_[real], found[real]
    torch.testing.assert_close(found, expected_, rtol=1e-5, atol=1e-5)


def test_a_language_model_is_more_than_a_run(batch: Batch) -> None:
    assert methods_of(MODELS["language_model"], partial(batch.program("gcc"), "language_model")) == {}


def test_wrong_input_is_an_error_code(batch: Batch) -> None:
    program = batch.program("gcc")
    codes = [answer.code for answer in program("tags", [np.array([3, 7]), np.array([-1]), np.array([], np.int32)])]
    assert codes == [1, 1, 2]
    window = np.zeros((2, 3), np.float32)
    known, fixed = np.zeros(4, np.float32), np.zeros(2, np.float32)
    contexts = [Context(known, fixed, np.array(group, np.int32)) for group in (0, 2, 3, -1)]
    assert [answer.code for answer in program("forecaster_of_all", [window] * 4, contexts)] == [0, 0, 1, 1]
    assert [answer.code for answer in program("segments", [np.zeros((n, 2), np.float32) for n in (2, 3)])] == [2, 0]


def test_weights_of_another_model_are_an_error_code(tmp_path) -> None:
    found = source("model", network_of(GRUCell(3, 5)), weights="bin", dtype="float32", about="")
    program = Compiled(tmp_path, {"model": found}, ["gcc", *FLAGS])
    assert found.weights is not None
    (tmp_path / "model.bin").write_bytes(bytes(16) + found.weights[16:])
    assert [answer.code for answer in program("model", [np.zeros((2, 3), np.float32)])] == [3]


@pytest.mark.parametrize("weights", ["inside", "bin"])
def test_weights_that_int8_holds_exactly_lose_nothing(weights: Where, tmp_path) -> None:
    torch.manual_seed(0)
    model = LanguageModel(LSTM, vocab_size=11, embedding_size=4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                steps, scales = rounded(parameter, 1)
                parameter.copy_(steps * scales[:, None])
    wide = source("model", network_of(model), weights=weights, dtype="float32", about="")
    narrow = source("model", network_of(model), weights=weights, dtype="int8", about="")
    assert narrow.weight_bytes < 0.6 * wide.weight_bytes  # biases and scales are floats
    (answer,) = Compiled(tmp_path, {"model": narrow}, ["gcc", *FLAGS])("model", [np.arange(9, dtype=np.int32)])
    np.testing.assert_allclose(answer.run, expected(model, [np.arange(9)])[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: Classifier(input_size=2, front=OwnFront), "OwnFront"),  # type: ignore[arg-type]
        (lambda: Tagger(LSTM, vocab_size=9, character_vocab_size=2, output_size=3, crf=True), "characters"),
        (lambda: DenseClassifier(input_size=2, output_size=3, time=4), "DenseClassifier"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_the_reason(model, reason) -> None:
    with pytest.raises(ConfigError, match=reason):
        export_c(model())


@pytest.mark.parametrize(
    ("options", "message"),
    [({"name": "my-model"}, "C identifier"), ({"weights": "out"}, "inside, bin"), ({"dtype": "int4"}, "float32, int8")],
)
def test_a_wrong_option_is_named(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        export_c(GRUCell(3, 5), **options)


def test_c_that_differs_from_the_model_is_refused() -> None:
    class Doubled(SequenceClassifier):
        def forward(self, inputs, lengths=None):
            return 2 * super().forward(inputs, lengths)

    with pytest.raises(ConfigError, match=r"differs from the model by .* more than tolerance=1e-05"):
        export_c(Doubled(GRUCell, input_size=2, output_size=3, hidden_sizes=[5]))


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqmodels.exporting.c.export.compiler", lambda: None)
    _, lines = export_c(GRUCell(3, 5))
    assert lines[-1].startswith("not compared with the model: no C compiler")
