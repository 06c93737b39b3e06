"""A training step queues work for an accelerator and never waits for it: so it can also be captured as a graph."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from seqmodels import cells
from seqmodels.backends import BACKENDS, unroll
from seqmodels.backends.native import Native
from seqmodels.cells import ALL_CELLS, GRUCell
from seqmodels.data import SequenceBatch, TagBatch, Words
from seqmodels.data.text.windows import TextWindow
from seqmodels.fusion.executor import Arguments, Results
from seqmodels.fusion.portable.executor import Portable
from seqmodels.fusion.program import Program
from seqmodels.layers import AttentionPool, ConcatPool
from seqmodels.models import LanguageModel, SequenceClassifier, SequenceRegressor, Tagger
from seqmodels.models.likelihoods import GaussianForecast, Likelihood, PointForecast, QuantileForecast
from seqmodels.models.pooling import every_step, last
from seqmodels.tasks import Classification, LanguageModeling, MultilabelClassification, Regression, Tagging
from seqmodels.tasks.metrics.labels import ClassScores
from seqmodels.tasks.metrics.spans import TagScores
from seqmodels.tasks.task import Task
from tests.fusion.running import Through
from tests.tasks.small import forecasting, series
from tests.waiting import DEVICE, waits, without_waiting

BATCH, TIME, INPUT, HIDDEN, OUTPUT, VOCAB = 3, 7, 4, 5, 6, 11
CELL = partial(GRUCell, hidden_size=HIDDEN)
SGD = partial(torch.optim.SGD, lr=0.1)
LENGTHS = torch.tensor([4, 7, 1])


def on_device(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape, device=DEVICE, **options)


X, Y = on_device(BATCH, TIME, INPUT), on_device(2, 3)
INDEX = on_device(2, dtype=torch.long)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: Y.sum().item(), True),
        (lambda: Y[Y > 0], True),
        (lambda: Y.index_put((Y > 0,), on_device()), True),
        (INDEX.bincount, True),
        (INDEX.tolist, True),
        (lambda: torch.equal(Y, Y), True),
        (lambda: torch.tensor([1.0, 2.0], device=DEVICE), True),
        (lambda: Y.new_tensor([1.0, 2.0]), True),
        (lambda: Y[[0, 1]], True),
        (lambda: torch.ones(3).to(DEVICE), True),
        (lambda: Y[INDEX], False),
        (lambda: Y.new_full((), 2.0) * torch.tensor(3.0), False),
        (lambda: Y.masked_fill(Y > 0, 1.0), False),
    ],
)
def test_what_waits_is_found(call: Callable[[], object], expected: bool) -> None:
    assert waits(call) is expected


WRAPPERS: dict[str, Callable[[], cells.Cell[Any]]] = {
    "dropout": lambda: cells.RecurrentDropout(GRUCell(INPUT, HIDDEN), 0.3),
    "zoneout": lambda: cells.Zoneout(GRUCell(INPUT, HIDDEN), {"h": 0.3}),
    "weight drop": lambda: cells.WeightDrop(GRUCell(INPUT, HIDDEN), 0.3),
    "layer norm": lambda: cells.RecurrentLayerNorm(GRUCell(INPUT, HIDDEN)),
    "learned state": lambda: cells.LearnedInitialState(GRUCell(INPUT, HIDDEN)),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", [*ALL_CELLS, *WRAPPERS], ids=lambda cell: getattr(cell, "__name__", cell))
def test_unrolling_does_not_wait(cell: Any, reverse: bool) -> None:
    one = (WRAPPERS[cell]() if isinstance(cell, str) else cell(INPUT, HIDDEN)).to(DEVICE)
    lengths = on_device(BATCH, dtype=torch.long)
    for name, backend in BACKENDS.items():
        if name == "fused" or backend.refuses(one, X):  # its executor has a test below
            continue
        with without_waiting():
            y, _ = unroll(one, X, lengths=lengths, reverse=reverse, backend=name)
            y.sum().backward()


@pytest.mark.parametrize(
    "cell", [cells.LSTMCell, cells.ProjectedLSTMCell, cells.ElmanCell, partial(cells.ElmanCell, activation="relu")]
)
def test_pytorchs_kernels_do_not_wait_for_lengths(cell: Any) -> None:
    one, lengths = cell(INPUT, HIDDEN, device=DEVICE), on_device(BATCH, dtype=torch.long)
    with without_waiting():
        y, _ = Native().run(one, X, one.initial_state(X[:, 0]), lengths)
        y.sum().backward()


class Turned(GRUCell):
    """A cell whose step moves columns, in an order that is a constant of the program."""

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        h, _ = super().step(wx, state)
        turned = h.roll(2, -1).flip(-1)
        return turned, type(state)(turned)


class Recorder(Portable):
    """Keeps what it is asked to run."""

    def __init__(self) -> None:
        self.calls: list[tuple[Program, Arguments]] = []

    def run(self, program: Program, arguments: Arguments) -> Results:
        self.calls.append((program, arguments))
        return super().run(program, arguments)


@pytest.mark.parametrize("cell", [Turned, cells.LSTMCell, cells.LayerNormLSTMCell], ids=lambda cell: cell.__name__)
def test_the_portable_executor_does_not_wait(cell: Any) -> None:
    recorder, one, x = Recorder(), cell(INPUT, HIDDEN), torch.randn(BATCH, TIME, INPUT)
    y, _ = Through(recorder)(one, x, one.initial_state(x[:, 0]), LENGTHS)
    y.sum().backward()
    assert {program.backwards for program, _ in recorder.calls} == {False, True}
    for program, arguments in recorder.calls:
        moved = tree_map_only(Tensor, lambda tensor: tensor.detach().to(DEVICE), arguments)
        Portable().run(program, moved)  # copies the columns that move to the device, once
        with without_waiting():
            Portable().run(program, moved)


@pytest.mark.parametrize("pool", [ConcatPool(INPUT), AttentionPool(INPUT)], ids=lambda pool: type(pool).__name__)
def test_pooling_does_not_wait(pool: nn.Module) -> None:
    pool, y, lengths = pool.to(DEVICE), X.clone().requires_grad_(), on_device(BATCH, dtype=torch.long)
    with without_waiting():
        pool(y, lengths).sum().backward()


def classes(**options: Any) -> Task[Any]:
    pooling = every_step if options.pop("stepwise", False) else last
    model = SequenceClassifier(CELL, input_size=INPUT, output_size=OUTPUT, pooling=pooling)
    return Classification(model, SGD, output_size=OUTPUT, **options)


def numbers(pooling: Any = last) -> nn.Module:
    return SequenceRegressor(CELL, input_size=INPUT, output_size=OUTPUT, pooling=pooling)


TASKS: dict[str, tuple[Task[Any], Tensor]] = {
    "classes": (classes(), torch.zeros(BATCH, dtype=torch.long)),
    "classes of steps": (classes(stepwise=True), torch.zeros(BATCH, TIME, dtype=torch.long)),
    "weighted classes": (
        classes(stepwise=True, class_weights=[1.0] * OUTPUT, label_smoothing=0.1),
        torch.zeros(BATCH, TIME, dtype=torch.long),
    ),
    "labels": (MultilabelClassification(numbers(), SGD, output_size=OUTPUT), torch.zeros(BATCH, OUTPUT)),
    "labels of steps": (
        MultilabelClassification(numbers(every_step), SGD, output_size=OUTPUT),
        torch.zeros(BATCH, TIME, OUTPUT),
    ),
    "values": (
        Regression(numbers(), SGD, target_mean=[0.0] * OUTPUT, target_deviation=[1.0] * OUTPUT),
        torch.zeros(BATCH, OUTPUT),
    ),
    "values of steps": (Regression(numbers(every_step), SGD, loss="huber"), torch.zeros(BATCH, TIME, OUTPUT)),
}


def assert_a_training_step_does_not_wait(task: Task[Any], batch: Any) -> None:
    task.to(DEVICE)
    with without_waiting():
        for _ in range(2):
            task.measure(batch, "train").backward()


@pytest.mark.parametrize("name", TASKS)
def test_a_training_step_does_not_wait(name: str) -> None:
    task, targets = TASKS[name]
    batch = SequenceBatch(torch.randn(BATCH, TIME, INPUT), LENGTHS, targets)
    assert_a_training_step_does_not_wait(task, SequenceBatch(*(tensor.to(DEVICE) for tensor in batch)))


@pytest.mark.parametrize("whole", [True, False])
def test_a_training_step_of_a_language_model_does_not_wait(whole: bool) -> None:
    model = LanguageModel(CELL, vocab_size=VOCAB, embedding_size=HIDDEN, tie_weights=True, dropout_embedding=0.1)
    task = LanguageModeling(model, SGD, activation_penalty=1.0, slowness_penalty=1.0)
    tokens = on_device(BATCH, TIME, dtype=torch.long)
    some = {"lengths": LENGTHS.to(DEVICE), "places": on_device(int(LENGTHS.sum()), dtype=torch.long)}
    ragged: dict[str, Any] = dict.fromkeys(some) if whole else some
    window = TextWindow(tokens, targets=tokens, fresh=on_device(BATCH, dtype=torch.bool), scale=1.0, **ragged)
    assert_a_training_step_does_not_wait(task, window)


@pytest.mark.parametrize("crf", [False, True])
def test_a_training_step_of_a_tagger_does_not_wait(crf: bool) -> None:
    model = Tagger(CELL, vocab_size=VOCAB, character_vocab_size=VOCAB, output_size=OUTPUT, crf=crf)
    task = Tagging(model, SGD, tag_names=[str(tag) for tag in range(OUTPUT)])
    tokens = on_device(BATCH, TIME, dtype=torch.long)
    words = Words(tokens, tokens, on_device(2, 4, dtype=torch.long), torch.tensor([4, 1]).to(DEVICE))
    assert_a_training_step_does_not_wait(task, TagBatch(words, LENGTHS.to(DEVICE), tokens))


@pytest.mark.parametrize("likelihood", [PointForecast(), QuantileForecast(), GaussianForecast()], ids=repr)
def test_a_training_step_of_a_forecaster_does_not_wait(likelihood: Likelihood, tmp_path: Path) -> None:
    data = series(tmp_path)
    batch = data.split("train").__getitems__([0, 1, 2]).to(DEVICE)
    assert_a_training_step_does_not_wait(forecasting(data, likelihood=likelihood), batch)


def test_counting_classes_and_spans_does_not_wait() -> None:
    scores, spans = ClassScores(OUTPUT).to(DEVICE), TagScores(["O", "B-A", "I-A"]).to(DEVICE)
    tags = on_device(BATCH, TIME, dtype=torch.long)
    with without_waiting():
        scores.update(on_device(BATCH, OUTPUT), on_device(BATCH, dtype=torch.long))
        spans.update(tags, tags, on_device(BATCH, TIME, dtype=torch.bool))
