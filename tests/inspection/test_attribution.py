"""Contributions sum to the difference of the outputs, and go to what decides."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.data import SequenceBatch, TagBatch, TextWindow, Words
from seqmodels.inspection import (
    Choice,
    attention_weights,
    decision,
    integrated_gradients,
    marked_series,
    marked_text,
    occlusion,
)
from seqmodels.layers import AttentionPool, SelfAttention
from seqmodels.models import DirectForecaster, LanguageModel, SequenceClassifier, SequenceRegressor, Tagger
from seqmodels.models.pooling import attention
from seqmodels.tasks import Classification, LanguageModeling, MultilabelClassification, Regression, Tagging, Task
from tests.tasks import small

BATCH, TIME, INPUT, HIDDEN, VOCAB, CLASSES = 3, 7, 4, 5, 11, 3
LENGTHS = torch.tensor([7, 2, 5])
GRU, LSTM = (partial(kind, hidden_size=HIDDEN) for kind in (GRUCell, LSTMCell))


def enlarged(model: nn.Module) -> Any:
    """Return a network whose weights are large enough for gates to saturate."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def of_series(targets: Tensor) -> SequenceBatch:
    return SequenceBatch(torch.randn(BATCH, TIME, INPUT), LENGTHS, targets)


def of_tokens(targets: Tensor) -> SequenceBatch:
    return SequenceBatch(torch.randint(2, VOCAB, (BATCH, TIME)), LENGTHS, targets)


def classification() -> tuple[Task[Any], Any]:
    options: dict[str, Any] = {"vocab_size": VOCAB, "embedding_size": 6, "bidirectional": True, "backend": "fused"}
    model = SequenceClassifier(LSTM, output_size=CLASSES, **options)
    return Classification(enlarged(model), optim.Adam, output_size=CLASSES), of_tokens(torch.zeros(BATCH).long())


def multilabel() -> tuple[Task[Any], Any]:
    model = SequenceClassifier(GRU, input_size=INPUT, output_size=CLASSES, pooling=attention, depth=2)
    task = MultilabelClassification(enlarged(model), optim.Adam, output_size=CLASSES)
    return task, of_series(torch.zeros(BATCH, CLASSES))


def regression() -> tuple[Task[Any], Any]:
    model = SequenceRegressor(GRU, input_size=INPUT, output_size=2)
    task = Regression(enlarged(model), optim.Adam, target_mean=[5.0, 1.0], target_deviation=[2.0, 3.0])
    return task, of_series(torch.zeros(BATCH, 2))


def tagging(*, crf: bool) -> tuple[Task[Any], Any]:
    model = Tagger(LSTM, vocab_size=VOCAB, character_vocab_size=9, output_size=2, embedding_size=6, crf=crf)
    with torch.no_grad():
        model.tags.requires_grad_(False)
        for parameter in model.tags.parameters():
            parameter.normal_()
    tokens = torch.randint(2, VOCAB, (BATCH, TIME))
    letters = torch.randint(1, 9, (4, 3))
    words = Words(tokens, torch.randint(4, (BATCH, TIME)), letters, torch.tensor([3, 1, 2, 3]))
    batch = TagBatch(words, LENGTHS, torch.zeros_like(tokens))
    return Tagging(model, optim.Adam, tag_names=["NOUN", "VERB"]), batch


def language() -> tuple[Task[Any], Any]:
    model = LanguageModel(GRU, vocab_size=VOCAB, embedding_size=6)
    tokens, fresh = torch.randint(2, VOCAB, (BATCH, TIME)), torch.ones(BATCH, dtype=torch.bool)
    return LanguageModeling(model, optim.Adam), TextWindow(tokens, LENGTHS, tokens, fresh, 1.0)


TASKS: dict[str, Callable[[], tuple[Task[Any], Any]]] = {
    "classification": classification,
    "multilabel": multilabel,
    "regression": regression,
    "tagging": partial(tagging, crf=False),
    "tagging with a crf": partial(tagging, crf=True),
    "language modelling": language,
}


@pytest.mark.parametrize("name", TASKS)
def test_contributions_sum_to_the_difference_of_the_outputs_and_none_goes_to_padding(name: str) -> None:
    torch.manual_seed(0)
    task, batch = TASKS[name]()
    task.eval()
    found = decision(task, batch)
    done = integrated_gradients(found.score, found.inputs)
    sums, wanted = done.values.sum((1, 2)), found.score(found.inputs) - found.score(torch.zeros_like(found.inputs))
    assert bool(((sums - wanted).abs() <= 0.01 * wanted.abs()).all())
    assert float(done.gap.detach().max()) <= 0.01
    assert bool(done.values.abs().sum((1, 2)).all())
    assert not done.values[1, 2:].any()
    assert not done.values[2, 5:].any()


def test_the_contributions_to_a_forecast_sum_to_its_difference_from_that_of_a_flat_window(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = small.series(tmp_path)
    task = small.forecasting(data, partial(DirectForecaster, normalization="window")).eval()
    batch = data.split("val").__getitems__([0, 2])
    found = decision(task, batch, choice=Choice(step=2, target=1))
    done = integrated_gradients(found.score, found.inputs, found.baseline)
    params = (task.params(batch._replace(inputs=inputs)) for inputs in (batch.inputs, found.baseline))
    values = [task.model.likelihood.point(each)[:, 2, 1].double() * batch.deviation[:, 1] for each in params]
    torch.testing.assert_close(done.values.sum((1, 2)), values[0] - values[1], rtol=0.01, atol=1e-6)
    torch.testing.assert_close(found.baseline.std(1), 0.01 * batch.inputs.std(1))
    assert found.names[0] == "drift, 3 steps ahead"


def test_the_score_of_a_class_is_its_log_odds() -> None:
    torch.manual_seed(0)
    task, batch = classification()
    task.eval()
    p = task.model(batch.inputs, batch.lengths).softmax(-1)
    wanted = (p / (1 - p)).log().amax(-1)
    found = decision(task, batch, ["a", "b", "c"])
    torch.testing.assert_close(found.score(found.inputs).float(), wanted, rtol=1e-3, atol=1e-4)
    assert found.names == ["abc"[best] for best in p.argmax(-1).tolist()]
    other = decision(task, batch, choice=Choice(target=1))
    torch.testing.assert_close(other.score(other.inputs).float(), (p / (1 - p)).log()[:, 1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "choice", "reason"),
    [
        ("classification", Choice(step=1), "one for the whole sequence"),
        ("classification", Choice(target=3), "0 to 2, got 3"),
        ("language modelling", Choice(step=2), "the shortest row's, 0 to 1"),
    ],
)
def test_a_choice_out_of_range_is_refused(name: str, choice: Choice, reason: str) -> None:
    task, batch = TASKS[name]()
    with pytest.raises(ValueError, match=reason):
        decision(task.eval(), batch, choice=choice)


def test_only_a_planted_feature_and_step_get_contributions() -> None:
    """The network reads feature 1 alone, and its state forgets: what counts is the last real step."""
    torch.manual_seed(0)
    model: Any = SequenceRegressor(GRU, input_size=INPUT, output_size=1).eval()
    with torch.no_grad():
        cell = model.recurrent.layers[0].cell
        cell.weight_ih[:, [0, 2, 3]] = 0
        cell.weight_hh.zero_()
        cell.bias[:HIDDEN] = 100  # z is 1: the state is the candidate
    found = decision(Regression(model, optim.Adam), of_series(torch.zeros(BATCH, 1)))
    values = integrated_gradients(found.score, found.inputs).values
    last = values[torch.arange(BATCH), LENGTHS - 1, 1]
    torch.testing.assert_close(values.abs().sum((1, 2)), last.abs())
    assert bool(last.abs().min() > 0)
    torch.testing.assert_close(occlusion(found.score, found.inputs).abs().sum(1), occluded(found, LENGTHS).abs())


def occluded(found: Any, lengths: Tensor) -> Tensor:
    """Return by how much the score falls without the last real step."""
    without = found.inputs.clone()
    without[torch.arange(BATCH), lengths - 1] = 0
    return found.score(found.inputs) - found.score(without)


def test_contributions_to_a_product_are_shared_and_to_a_sum_are_its_terms() -> None:
    x, base = torch.tensor([[[3.0, 1.0], [2.0, 5.0]]]), torch.tensor([1.0, 0.0])
    linear = integrated_gradients(lambda x: (x * torch.tensor([2.0, -1.0])).sum((1, 2)), x, base)
    torch.testing.assert_close(linear.values, torch.tensor([[[4.0, -1.0], [2.0, -5.0]]]).double())
    wave = integrated_gradients(lambda x: (40 * x[:, 0, 0]).sin(), x, points=2)
    assert wave.points > 16
    assert float(wave.gap) < 0.01


def test_a_function_that_jumps_is_refused() -> None:
    x = torch.ones(2, 3, 1)
    with pytest.raises(ValueError, match="the output jumps between baseline and input"):
        integrated_gradients(lambda x: (x.sum((1, 2)) > 1).float() + 0 * x.sum((1, 2)), x, most=64)


def test_occlusion_of_a_window_or_a_feature_is_what_the_output_loses() -> None:
    x = torch.arange(1.0, 7.0).view(1, 3, 2)
    assert occlusion(lambda x: x.sum((1, 2)), x, window=2).tolist() == [[10, 10, 11]]
    assert occlusion(lambda x: x.sum((1, 2)), x, by_feature=True).tolist() == x.tolist()


def test_the_attention_of_a_network_is_a_distribution_over_real_steps() -> None:
    torch.manual_seed(0)
    top = partial(SelfAttention, heads=1)
    model = enlarged(SequenceClassifier(GRU, input_size=INPUT, output_size=2, pooling=attention, top=top)).eval()
    x = torch.randn(BATCH, TIME, INPUT)
    found = attention_weights(model, lambda: model(x, LENGTHS))
    assert set(found) == {"top", "pooling"}
    for weights in found.values():
        torch.testing.assert_close(weights.sum(1), torch.ones(BATCH))
        assert not weights[1, 2:].any()
    y, _ = model.recurrent(x, lengths=LENGTHS)
    layer, pool = model.top, model.pooling
    assert isinstance(layer, SelfAttention)
    assert isinstance(pool, AttentionPool)
    heads = nn.MultiheadAttention(HIDDEN, 1, batch_first=True)
    with torch.no_grad():
        heads.in_proj_weight.copy_(layer.queries_keys_values.weight)
        heads.in_proj_bias.copy_(layer.queries_keys_values.bias)
    _, wanted = heads(y[:1], y[:1], y[:1])
    torch.testing.assert_close(found["top"][0], wanted[0].mean(0))
    torch.testing.assert_close(found["pooling"], pool.weights(layer(y, lengths=LENGTHS)[0], LENGTHS))


def test_texts_of_users_are_escaped_and_series_are_marked_where_it_counts() -> None:
    html = marked_text(["<script>", "b"], [1.0, -0.5], at=1)
    assert "<script>" not in html
    assert "rgba(200,60,40,0.70)" in html
    assert "rgba(40,90,200,0.35)" in html
    assert html.count("underline") == 1
    figure = marked_series([[1.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [-3.0, 0.0]], ["load", "price"], most=1)
    (line,) = figure["data"]
    assert line["name"] == "load"
    assert line["marker"]["color"] == [0, -3]
    with pytest.raises(ValueError, match="one weight for each of 2 tokens"):
        marked_text(["a", "b"], [1.0])
