"""Texts for texts: the loss, its schedules, the search for outputs; small tasks are learnt."""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from seqmodels.cells import GRUCell
from seqmodels.config.build import build
from seqmodels.data import (
    CharacterLearner,
    CopyData,
    DataModule,
    PairBatch,
    PairedTexts,
    PairPreparation,
    PairPreprocessing,
    Splits,
    WordLearner,
)
from seqmodels.decoding import Sampling
from seqmodels.layers import AdditiveAttention, recurrent_stack
from seqmodels.models import EncoderDecoder, SequenceClassifier
from seqmodels.tasks import Search, Seq2Seq
from seqmodels.tasks.texts.search import Drawing, Writing
from tests.conftest import TOLERANCE
from tests.datasets import ready
from tests.tasks.small import trainer


def strings(**options: Any) -> DataModule:
    rows = {"train_rows": 60, "val_rows": 7, "test_rows": 11}
    small = {"symbols": 5, "shortest": 3, "longest": 6, "batch_size": 4}
    return ready(CopyData, vocabulary=CharacterLearner(), **{**small, **rows, **options})


def task_of(data: DataModule, *, attention: Any = AdditiveAttention, hidden: int = 7, **options: Any) -> Seq2Seq:
    layers = partial(recurrent_stack, partial(GRUCell, hidden_size=hidden))
    network = {name: options.pop(name) for name in ("copy",) if name in options}
    model = EncoderDecoder(layers, layers, attention=attention, embedding_size=6, **data.sizes, **network)
    return Seq2Seq(model, partial(torch.optim.Adam, lr=0.02), preprocessing=build(data.preprocessing), **options)


def rows_of(data: DataModule, split: str = "test") -> PairBatch:
    part = data.split(split)
    batch: PairBatch = part.__getitems__(list(range(len(part))))
    return batch


def test_the_loss_of_a_batch_is_that_of_its_rows_by_their_tokens() -> None:
    data = strings()
    for options in ({}, {"label_smoothing": 0.2}, {"copy": True}):
        task, whole = task_of(data, **options).eval(), rows_of(data)
        rows = [data.split("test").__getitems__([row]) for row in range(len(whole.lengths))]
        alone = torch.stack([task.measure(row, "train") * row.target_lengths.sum() for row in rows])
        together = task.measure(whole, "train") * whole.target_lengths.sum()
        torch.testing.assert_close(alone.sum(), together, **TOLERANCE[torch.float32])


def test_the_loss_is_the_cross_entropy_of_each_target_after_the_true_ones() -> None:
    data = strings()
    task, batch = task_of(data, label_smoothing=0.3).eval(), rows_of(data)
    read = torch.cat([torch.full((11, 1), task.preprocessing.end), batch.targets[:, :-1]], 1)
    scores = task.model(batch.inputs, read, batch.lengths).log_probs
    targets = batch.targets.clone()
    for row, length in enumerate(batch.target_lengths.tolist()):
        targets[row, length:] = -100
    smoothed = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), label_smoothing=0.3)
    torch.testing.assert_close(task.measure(batch, "train"), smoothed, **TOLERANCE[torch.float32])
    plain = F.cross_entropy(scores.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(task.measure(batch, "val"), plain, **TOLERANCE[torch.float32])
    assert {"loss", "smoothed_loss"} == set(task._means["train"].sums)


def test_both_losses_and_the_metrics_of_outputs_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    data = strings()
    task, runner = task_of(data, label_smoothing=0.1), trainer(max_epochs=1, num_sanity_val_steps=0)
    runner.fit(task, data)
    names = {name for name in runner.callback_metrics if name.startswith(("train/", "val/"))}
    assert names == {f"val/{name}" for name in ("loss", "perplexity", "cer", "exact_match")} | {
        "train/loss",
        "train/smoothed_loss",
    }
    assert caplog.text.count("val example") == 3
    assert runner.callback_metrics["val/perplexity"] == pytest.approx(float(runner.callback_metrics["val/loss"].exp()))


def test_scheduled_sampling_follows_its_schedule_in_training_alone() -> None:
    asked: list[int] = []

    def schedule(step: int) -> float:
        asked.append(step)
        return 1.0

    data = strings()
    task = task_of(data, own_tokens=schedule)
    trainer(max_steps=3, max_epochs=1).fit(task, data)
    assert asked == [0, 1, 2]
    batch, true_alone = rows_of(data), task_of(data)
    true_alone.load_state_dict(task.state_dict())
    assert task.measure(batch, "val") == true_alone.measure(batch, "val")
    assert task.measure(batch, "train") != true_alone.measure(batch, "train")


def test_a_gru_learns_to_copy() -> None:
    data = strings(symbols=4, shortest=3, longest=4, train_rows=100, val_rows=4, test_rows=20, batch_size=10)
    task = task_of(data, hidden=24)
    runner = trainer(max_epochs=30, check_val_every_n_epoch=30, num_sanity_val_steps=0)
    runner.fit(task, data)
    (metrics,) = runner.test(task, data, verbose=False)
    assert metrics["test/exact_match"] == 1
    assert metrics["test/cer"] == 0
    assert [row["output"] for row in task.tables()["outputs.csv"]] == [text.source for text in rows_of(data).texts]
    assert list(task.pictures()) == ["alignment_1.svg", "alignment_2.svg", "alignment_3.svg"]


def test_the_table_of_outputs_has_the_order_of_the_data_however_they_are_batched() -> None:
    data = strings(bucketing=True)
    task = task_of(data)
    trainer().test(task, data, verbose=False)
    assert [row["source"] for row in task.tables()["outputs.csv"]] == [text.source for text in rows_of(data).texts]


def test_an_output_depends_on_its_source_alone_and_more_hypotheses_never_score_less() -> None:
    data = strings()
    task, batch = task_of(data).eval(), rows_of(data)
    for search in (Search(), Search(beam=3, n_best=2, length_penalty=1.0)):
        task.search = search
        together = task.records(batch, ())
        alone = [task.records(data.split("test").__getitems__([row]), ())[0] for row in range(11)]
        for found, expected in zip(together, alone, strict=True):
            assert [record["output"] for record in found] == [record["output"] for record in expected]
            assert all(first["score"] >= second["score"] for first, second in pairwise(found))
    assert {record["rank"] for record in together[0]} == {1, 2}


def test_a_network_that_copies_predicts_words_that_are_not_in_its_vocabulary() -> None:
    rows = PairedTexts(["my name is ann", "my name is bo"] * 2, [("hello ann",), ("hello bo",)] * 2, ["1", "2"] * 2)
    prepared = PairPreparation(vocabulary=WordLearner(min_frequency=2)).prepare(Splits(rows, rows, rows))
    text: PairPreprocessing = build(prepared.preprocessing)
    layers = partial(recurrent_stack, partial(GRUCell, hidden_size=5))
    model = EncoderDecoder(layers, layers, attention=AdditiveAttention, copy=True, embedding_size=4, **prepared.sizes)
    task = Seq2Seq(model, torch.optim.Adam, preprocessing=text, metrics=["exact_match"]).eval()
    new, _ = text.dataset(PairedTexts(["my name is zoe"], [("hello zoe",)], ["1"]), texts=True)
    batch = new.__getitems__([0])
    log_probs, targets = task.log_probs(batch)
    size = len(text.target_vocabulary)
    zoe = targets[0, 1]
    assert zoe >= size
    assert log_probs.shape[-1] > size
    with torch.no_grad():
        model.decoder.pointer.gate.bias.fill_(-50.0)  # type: ignore[union-attr]  # it copies always
    copied = task.log_probs(batch)[0][0, 1].exp()
    assert copied[zoe] > 0.05
    torch.testing.assert_close(copied.sum(), torch.ones(()), rtol=1e-4, atol=1e-4)
    plain = task_of(strings(), attention=None)
    assert not plain.predictor.copies


def test_outputs_may_be_longer_where_sources_are_longer_than_in_training() -> None:
    assert Search().limits(torch.tensor([1, 10, 25]), 10, 8).tolist() == [8, 8, 20]
    assert Search(max_length=4).limits(torch.tensor([1, 25]), 10, 8).tolist() == [4, 4]


@pytest.mark.parametrize(
    "search", [Search(max_length=2), Search(max_length=2, beam=9, n_best=9), Drawing(max_length=2, samples=4)]
)
def test_no_output_is_longer_than_the_limit_nor_found_twice(search: Writing) -> None:
    data = strings()
    task = task_of(data).eval()
    for found in task.predictor.found(rows_of(data), search):
        assert all(len(hypothesis.tokens) <= 2 for hypothesis in found)
        assert all(len(hypothesis.tokens) == 2 for hypothesis in found if not hypothesis.complete)
        if isinstance(search, Search):
            assert len({tuple(hypothesis.tokens) for hypothesis in found}) == search.n_best


def test_what_is_drawn_for_a_source_follows_from_the_seed() -> None:
    data = strings()
    task, row = task_of(data).eval(), data.split("test").__getitems__([3])

    def drawn(**options: Any) -> list[str]:
        task.search = Drawing(samples=5, **options)
        return [record["output"] for record in task.records(row, ())[0]]

    assert drawn(seed=4) == drawn(seed=4)
    assert drawn(seed=4) != drawn(seed=5)
    likeliest = drawn(sampling=Sampling(temperature=0))
    task.search = Search()
    assert likeliest == [task.records(row, ())[0][0]["output"]] * 5


def test_without_attention_there_are_no_pictures() -> None:
    data = strings()
    task = task_of(data, attention=None)
    trainer(max_steps=1, max_epochs=1).fit(task, data)
    trainer().test(task, data, verbose=False)
    assert task.pictures() == {}
    with pytest.raises(ValueError, match="a picture of attention needs a network with attention"):
        task.alignment("abc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "beam must be at least 1"),
        ({"n_best": 2}, "n_best must be 1 to beam=1, got 2"),
        ({"beam": 2, "length_penalty": -1.0}, "length_penalty must not be negative"),
        ({"coverage_penalty": 0.5}, "has no effect with beam=1"),
        ({"max_length": 0}, "max_length must be at least 1 token"),
    ],
)
def test_a_search_outside_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Search(**options)


def test_another_network_or_smoothing_is_refused() -> None:
    data = strings()
    with pytest.raises(ValueError, match=r"label_smoothing must lie in \[0, 1\)"):
        task_of(data, label_smoothing=1.0)
    with pytest.raises(ValueError, match="coverage_penalty needs a network with attention"):
        task_of(data, attention=None, search=Search(beam=2, coverage_penalty=0.1))
    rows = PairedTexts(["a b"] * 2, [("cde",)] * 2, ["1", "2"])  # vocabularies of one size, but of other letters
    letters = PairPreparation(vocabulary=CharacterLearner()).prepare(Splits(rows, rows, rows))
    layers = partial(recurrent_stack, partial(GRUCell, hidden_size=3))
    shared = EncoderDecoder(layers, layers, share_embeddings=True, source_vocab_size=6, target_vocab_size=6)
    with pytest.raises(ValueError, match=r"share_embeddings=true needs one vocabulary.*data.shared_vocabulary=true"):
        Seq2Seq(shared, torch.optim.Adam, preprocessing=build(letters.preprocessing))
    network: Any = SequenceClassifier(partial(GRUCell, hidden_size=3), input_size=2, output_size=2)
    with pytest.raises(TypeError, match="needs model=encoder_decoder, got SequenceClassifier"):
        Seq2Seq(network, torch.optim.Adam, preprocessing=build(data.preprocessing))
