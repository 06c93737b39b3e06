"""Language modelling under a trainer: exact losses, carried and restored states, the rate of a window, averages."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.data import DataModule, Loading, TextPreprocessing, TextWindow
from seqmodels.data.text.corpus import Corpus, corpus_of
from seqmodels.data.text.language_modeling import TokenizedPreparation
from seqmodels.data.text.vocabulary import EOS, UNK, CharacterVocabulary
from seqmodels.data.text.vocabulary_learning import CharacterLearner
from seqmodels.data.text.windowed import WindowedText
from seqmodels.data.text.windows import IGNORE
from seqmodels.models import LanguageModel, SequenceClassifier
from seqmodels.sequence import leaves
from seqmodels.tasks import LanguageModeling
from seqmodels.training.callbacks import NonMonotonicAveraging
from tests.conftest import TOLERANCE
from tests.datasets import given
from tests.tasks.small import trainer

FLOAT32 = TOLERANCE[torch.float32]
LETTERS = "abcde"


def lines(
    *, single: bool = False, bptt: int = 5, packed: bool = False, random_windows: bool = False, **loading: Any
) -> DataModule:
    """Documents of various lengths, in which each letter is mostly the successor of the last; or one text of them."""
    vocabulary = CharacterVocabulary([UNK, EOS, *LETTERS])
    text = TextPreprocessing(vocabulary=vocabulary, start=1, ends=not single)
    generator = np.random.default_rng(0)
    splits = {}
    for name, count in (("train", 23), ("val", 11), ("test", 13)):
        starts, lengths = generator.integers(5, size=count), generator.integers(0, 19, size=count)
        texts = ["".join(LETTERS[(s + k) % 5] for k in range(n)) for s, n in zip(starts, lengths, strict=True)]
        corpus = text.corpus(["".join(texts)] if single else texts)
        splits[name] = WindowedText(corpus, text, bptt=bptt, packed=packed, random_windows=random_windows)
    return given(splits, "language_modeling", {"vocab_size": 7}, **{"batch_size": 3, "seed": 1, **loading})


def task(
    cell: Any = GRUCell, *, lr: float = 0.02, optimizer: Any = torch.optim.Adam, **options: Any
) -> LanguageModeling:
    torch.manual_seed(5)
    network = LanguageModel(partial(cell, hidden_size=6), vocab_size=7, embedding_size=5, depth=2)
    return LanguageModeling(network, partial(optimizer, lr=lr), **options)


@torch.no_grad()
def exact_loss(network: LanguageModel, corpus: Corpus) -> float:
    """Return the mean loss over all targets, with each document in a single pass."""
    network.eval()
    losses = []
    for first, end in zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True):
        tokens = torch.from_numpy(corpus.tokens[first : end + 1].astype(np.int64))
        scores, _ = network(tokens[None, :-1])
        losses.append(F.cross_entropy(scores[0], tokens[1:], reduction="none"))
    return float(torch.cat(losses).mean())


@pytest.mark.parametrize(("rows", "bptt"), [(1, 50), (1, 3), (4, 5), (13, 1), (40, 7)])
@pytest.mark.parametrize("cell", [GRUCell, LSTMCell])
def test_the_loss_is_that_of_whole_documents_whatever_the_rows_and_windows(rows: int, bptt: int, cell: Any) -> None:
    data, model = lines(eval_batch_size=rows, bptt=bptt), task(cell)
    (metrics,) = trainer().test(model, data, verbose=False)
    loss = exact_loss(model.model, data.split("test").corpus)
    assert metrics["test/loss"] == pytest.approx(loss, rel=1e-5)
    assert metrics["test/perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)
    corpus = data.split("test").corpus
    letters = int((corpus.tokens > 1).sum())
    bits = loss * corpus.targets / math.log(2) / letters  # the edges cost bits too, and are no characters
    assert metrics["test/bits_per_character"] == pytest.approx(bits, rel=1e-5)


def test_a_single_text_in_one_row_is_one_long_pass() -> None:
    data, model = lines(single=True, eval_batch_size=1), task()
    (metrics,) = trainer().test(model, data, verbose=False)
    assert metrics["test/loss"] == pytest.approx(exact_loss(model.model, data.split("test").corpus), rel=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_training_learns_what_comes_next(packed: bool) -> None:
    data, model = lines(packed=packed), task()
    trainer(max_epochs=12).fit(model, data)
    assert exact_loss(model.model, data.split("val").corpus) < 0.75 * math.log(7)


def test_the_gradient_stops_at_the_start_of_a_window_and_the_state_does_not() -> None:
    model = task().train()
    first, second = (TextWindow(torch.randint(2, 7, (3, 4)), None, torch.randint(2, 7, (3, 4)), fresh, 1.0)
                     for fresh in (torch.ones(3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)))  # fmt: skip
    model.measure(first, "train")
    carried = leaves(model._carried["train"])
    _, state = model.model(first.inputs)
    for leaf, expected in zip(carried, leaves(state), strict=True):
        assert not leaf.requires_grad
        torch.testing.assert_close(leaf, expected.detach(), **FLOAT32)
    loss = model.measure(second, "train")
    expected_scores, _ = model.model(second.inputs, state)
    expected = F.cross_entropy(expected_scores.flatten(0, 1), second.targets.flatten())
    torch.testing.assert_close(loss, expected, **FLOAT32)


def test_validation_inside_an_epoch_leaves_the_state_of_training_alone() -> None:
    model, runner = task(), trainer(max_epochs=1, val_check_interval=2)
    plain, without = task(), trainer(max_epochs=1, limit_val_batches=0)
    runner.fit(model, lines(single=True))
    without.fit(plain, lines(single=True))
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("cell", [GRUCell, LSTMCell])
def test_packed_documents_have_the_loss_of_documents_read_by_themselves(cell: Any) -> None:
    data, model = lines(packed=True), task(cell)
    data.setup()
    split = data.split("train")
    windows = list(split.loader("train", Loading(batch_size=1), shuffle=True))
    losses = [model.measure(window, "train").item() for window in windows]
    counts = [int((window.targets != IGNORE).sum()) for window in windows]
    assert counts == [5] * (len(windows) - 1) + [split.corpus.targets - 5 * (len(windows) - 1)]
    assert np.average(losses, weights=counts) == pytest.approx(exact_loss(model.model, split.corpus), rel=1e-5)


def test_the_slowness_penalty_leaves_out_the_step_from_one_document_to_the_next() -> None:
    model, tokens, resets = task(slowness_penalty=1.0), torch.randint(2, 7, (2, 4)), torch.zeros(2, 4).bool()
    resets[0, 2] = True
    window = TextWindow(tokens, None, tokens, torch.ones(2).bool(), 1.0, resets=resets)
    outputs = model.model.read(tokens, resets=resets).outputs
    changes = (outputs[:, 1:] - outputs[:, :-1]).square().mean(-1)
    plain = F.cross_entropy(model.model(tokens, resets=resets)[0].flatten(0, 1), tokens.flatten())
    expected = plain + (changes.sum() - changes[0, 1]) / changes.numel()
    torch.testing.assert_close(model.measure(window, "train"), expected, **FLOAT32)


def test_a_window_without_any_target_has_the_loss_0_and_gradients_of_0() -> None:
    model = task()
    nothing = torch.full((2, 3), IGNORE)
    tokens, fresh, places = torch.zeros(2, 3, dtype=torch.long), torch.ones(2).bool(), torch.zeros(0, dtype=torch.long)
    window = TextWindow(tokens, torch.tensor([1, 1]), nothing, fresh, 1.0, places=places)
    loss = model.measure(window, "train")
    assert loss.item() == 0
    loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_penalties_are_the_mean_squares_of_outputs_and_of_their_changes() -> None:
    model = task(activation_penalty=2.0, slowness_penalty=3.0).eval()
    window = next(iter(_ready(lines(single=True)).train_dataloader()))
    with_penalty = model.measure(window, "train")
    without = model.measure(window, "val")
    y = model.model.read(window.inputs).outputs
    expected = without + 2 * y.square().mean() + 3 * (y[:, 1:] - y[:, :-1]).square().mean()
    torch.testing.assert_close(with_penalty, expected, **FLOAT32)


def test_the_learning_rate_of_a_step_is_scaled_by_the_length_of_its_window() -> None:
    class Seen(Callback):
        def __init__(self) -> None:
            self.moves: list[float] = []
            self.scales: list[float] = []

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            self.before = [p.detach().clone() for p in pl_module.parameters()]
            self.scales.append(batch.scale)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            parameter, before = next(pl_module.parameters()), self.before[0]
            self.moves.append(float((before - parameter.detach()).norm() / parameter.grad.norm()))

    seen, model = Seen(), task(optimizer=torch.optim.SGD, lr=0.1)
    data = lines(single=True, bptt=12, random_windows=True)
    trainer(max_epochs=1, callbacks=[seen]).fit(model, data)
    assert len(set(seen.scales)) > 1
    assert seen.moves == pytest.approx([0.1 * scale for scale in seen.scales], rel=1e-3)
    assert model.optimizers().param_groups[0]["lr"] == 0.1  # type: ignore[union-attr]


def test_a_checkpoint_keeps_the_state_that_rows_carry_as_plain_tensors(tmp_path: Path) -> None:
    model = task()
    keep = ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=4, save_last=True)
    runner = trainer(max_epochs=1, max_steps=4)
    runner.callbacks.append(keep)  # type: ignore[attr-defined]
    runner.fit(model, lines(single=True))
    (state,) = torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch_state"]
    carried = state["carried"]
    assert [tuple(leaf.shape) for leaf in carried] == [(3, 6), (3, 6)]
    again = task()
    again.restore_carried(carried)
    restored = leaves(again._state("train", torch.tensor([False, True, False])))
    for leaf, expected in zip(restored, carried, strict=True):
        assert torch.equal(leaf[[0, 2]], expected[[0, 2]])
        assert not leaf[1].any()


def test_averaging_begins_when_validation_stands_still_and_is_what_is_left(tmp_path: Path) -> None:
    averaging = NonMonotonicAveraging(patience=1)
    weights: list[Tensor] = []

    class Steps(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            weights.append(torch.cat([p.detach().flatten() for p in pl_module.parameters()]))

    model = task(lr=0.3)  # far too much: validation jumps
    keep = ModelCheckpoint(dirpath=tmp_path, save_last=True)
    runner = trainer(max_epochs=8, callbacks=[averaging, Steps()])
    runner.callbacks.append(keep)  # type: ignore[attr-defined]
    runner.fit(model, lines(single=True))
    assert 0 < averaging.steps < len(weights)
    worse = [i for i, v in enumerate(averaging.values) if i > 1 and v > min(averaging.values[: i - 1])]
    steps_of_an_epoch = len(weights) // 8
    assert averaging.steps == len(weights) - (worse[0] + 1) * steps_of_an_epoch
    expected = torch.stack(weights[-averaging.steps :]).mean(0)
    found = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(found, expected, **FLOAT32)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    kept = torch.cat([checkpoint["state_dict"][name].flatten() for name, _ in model.named_parameters()])
    own = torch.cat([value.flatten() for value in checkpoint["weights_before_averaging"].values()])
    torch.testing.assert_close(kept, expected, **FLOAT32)
    torch.testing.assert_close(own, weights[-1], **FLOAT32)


def test_each_text_of_a_file_gets_its_own_loss() -> None:
    data, model = _ready(lines()), task().eval()
    texts, preprocessing = ["abcde", "a", "eeebbb"], data.split("train").text
    batch = preprocessing.collate([preprocessing.encode({"text": text}) for text in texts])
    for (record,), text in zip(model.records(batch, []), texts, strict=True):
        corpus = corpus_of([preprocessing.tokens(text)], 7, 1)
        assert record["tokens"] == len(text) + 1
        assert record["loss"] == pytest.approx(exact_loss(model.model, corpus), rel=1e-5)
        assert record["perplexity"] == pytest.approx(math.exp(record["loss"]), rel=1e-5)


def test_texts_that_cannot_fill_the_rows_or_be_cut_at_random_are_refused() -> None:
    with pytest.raises(ValueError, match="too short for batch_size=500 rows"):
        lines(batch_size=500).setup()
    with pytest.raises(ValueError, match="173 tokens to predict, 35 windows of bptt=5: too short for batch_size=36"):
        lines(packed=True, batch_size=36).setup()
    with pytest.raises(ValueError, match="random_windows needs a single text, the train split has 23 documents"):
        lines(random_windows=True).setup()
    with pytest.raises(ValueError, match="bptt must be at least 1, got 0"):
        TokenizedPreparation(vocabulary=CharacterLearner(), bptt=0)


def test_another_network_is_refused() -> None:
    network = SequenceClassifier(partial(GRUCell, hidden_size=3), input_size=2, output_size=2)
    with pytest.raises(TypeError, match="needs model=language_model, got SequenceClassifier"):
        LanguageModeling(network, torch.optim.Adam)  # type: ignore[arg-type]


def _ready(data: DataModule) -> DataModule:
    data.setup()
    return data
