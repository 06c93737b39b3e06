"""Baselines beside a classification: fitted on the train split, tested on every row of the test split."""

import json
import logging
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seqmodels.data.sequences import RaggedDataset, SequenceDataset, Sequences
from seqmodels.training.baselines import neighbours, rows, scores
from seqmodels.training.baselines.neighbours import nearest_neighbour, warped
from seqmodels.training.baselines.scores import majority
from seqmodels.training.baselines.summaries import summary
from seqmodels.training.baselines.texts import bag_of_words
from tests.composing import PLAIN
from tests.conftest import Answer

Command = Callable[..., Answer]
Baseline = Callable[[Sequences, Sequences, int], Tensor]
SMALL = ("cell=gru", "cell.hidden_size=3", "trainer=cpu", "trainer.max_epochs=1", "logger=none", "hydra.run.dir=run")
DATA = ("data=text_csv", "data.path=train.csv", "data.val_path=test.csv", "data.test_path=test.csv")


@pytest.fixture
def texts(command: Command) -> Command:
    """The command beside a train table with 6 of 8 texts of class 0, and a test table with 1 of 4."""
    head = "text,label\n"
    Path("train.csv").write_text(head + "not bad at all,0\n" * 6 + "not good at all,1\n" * 2)
    Path("test.csv").write_text(head + "bad,0\n" + "good,1\n" * 3)
    return command


def metrics(folder: str = "run") -> dict[str, float]:
    found: dict[str, float] = json.loads(Path(folder, "metrics.json").read_text())
    return found


def test_the_majority_class_has_the_numbers_computed_by_hand(texts: Command) -> None:
    answer = texts("train", *DATA, *SMALL)
    assert answer.status == 0, answer.err
    found = {name: value for name, value in metrics().items() if "majority" in name}
    assert found == pytest.approx(
        {
            "test/majority_accuracy": 1 / 4,
            "test/majority_precision": (1 / 4 + 0) / 2,
            "test/majority_recall": (1 + 0) / 2,
            "test/majority_f1": (2 * (1 / 4) / (5 / 4) + 0) / 2,
            "test/majority_auroc": 0.5,
            "test/majority_loss": -(math.log(6 / 8) + 3 * math.log(2 / 8)) / 4,
        }
    )
    (head,) = (line for line in answer.out.splitlines() if "metric" in line and "majority" in line)
    assert "bag_of_words" in head


def test_a_model_below_a_baseline_is_named_with_both_numbers(texts: Command) -> None:
    worse = texts("train", *DATA, *PLAIN, *SMALL)
    assert metrics()["test/accuracy"] == 1 / 4
    assert "the model (test/accuracy 0.250) is not better than the baseline bag_of_words (1.000)" in worse.out
    Path("test.csv").write_text("text,label\n" + "bad,0\n" * 4)
    equal = texts("train", *DATA, *PLAIN, *SMALL[:-1], "hydra.run.dir=other")
    assert metrics("other")["test/accuracy"] == 1
    assert "not better" not in equal.out + equal.err


def test_an_evaluation_of_the_own_data_has_the_baselines_of_the_training(texts: Command) -> None:
    assert texts("train", *DATA, *SMALL).status == 0
    assert texts("evaluate", "run=run", "hydra.run.dir=again").status == 0
    first = metrics()
    assert metrics("again") == pytest.approx({name: first[name] for name in metrics("again")})
    assert "test/bag_of_words_f1" in metrics("again")
    assert texts("evaluate", "run=run", "input=test.csv", "hydra.run.dir=file").status == 0
    assert not any("majority" in name for name in metrics("file"))


@pytest.mark.parametrize("token", ["baselines=false", "trainer.limit_test_batches=1"])
def test_there_are_none_if_unwanted_or_if_only_some_rows_are_tested(token: str, texts: Command) -> None:
    assert texts("train", *DATA, *SMALL, token).status == 0
    assert "test/accuracy" in metrics()
    assert not any("majority" in name for name in metrics())


def test_without_scikit_learn_the_others_remain(texts: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sklearn", "scipy"):
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, name, None)
    answer = texts("train", *DATA, *SMALL)
    assert answer.status == 0, answer.err
    assert "the baseline bag_of_words needs scikit-learn: pip install 'seqmodels[baselines]'" in answer.out
    assert "test/majority_f1" in metrics()
    assert not any("bag_of_words" in name for name in metrics())
    assert nearest_neighbour(*series()[:2], 3).shape == (2, 3)


def test_a_baseline_that_fails_does_not_fail_the_run(texts: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Tensor:
        raise MemoryError("too many words")

    monkeypatch.setattr(scores, "bag_of_words", fail)
    answer = texts("train", *DATA, *SMALL)
    assert answer.status == 0, answer.err
    assert "the baseline bag_of_words is left out: MemoryError: too many words" in answer.out
    assert {"test/accuracy", "test/majority_accuracy"} <= set(metrics())


def test_targets_at_every_step_and_numbers_to_predict_have_no_baselines(command: Command) -> None:
    sizes = "data.train_rows=8", "data.val_rows=8", "data.test_rows=8", "data.time=5"
    stepwise = command("train", "data=copy_memory", *sizes, *SMALL)
    assert stepwise.status == 0, stepwise.err
    assert "there are no baselines beside this test" in stepwise.out
    numbers = command("train", "data=adding", *sizes, *SMALL[:-1], "hydra.run.dir=numbers")
    assert numbers.status == 0, numbers.err
    assert "baseline" not in numbers.out
    assert not any("majority" in name for name in [*metrics(), *metrics("numbers")])


def words(labels: bool = False) -> tuple[RaggedDataset, RaggedDataset]:
    """Texts whose class is that of a pair of words, in whatever order the other ones are."""
    generator = torch.Generator().manual_seed(0)
    parts = []
    for count in (40, 7):
        classes = torch.arange(count) % 2
        texts = []
        for label in classes.tolist():
            noise = torch.randint(7, 1500, (int(torch.randint(1, 9, (1,), generator=generator)),), generator=generator)
            pairs = torch.tensor([2, 3, 5, 2] if label else [3, 2, 5, 3])
            texts.append(torch.cat([noise, pairs, noise.flip(0)]))
        targets = torch.stack([classes, 1 - classes, torch.ones_like(classes)], 1).float() if labels else classes
        parts.append(RaggedDataset(texts, targets))
    return parts[0], parts[1]


def series() -> tuple[RaggedDataset, RaggedDataset, Tensor]:
    """Series of 3 classes with a bump, a dip or nothing somewhere, of several lengths, and the classes of the test."""
    generator = torch.Generator().manual_seed(0)
    parts = []
    for classes in (torch.arange(30) % 3, torch.tensor([1, 2])):
        rows = []
        for label in classes.tolist():
            length, place = torch.randint(20, 26, (2,), generator=generator).tolist()
            row = torch.randn(length, 2, generator=generator) / 50
            row[place // 2 : place // 2 + 5, 1] += label - 1.0
            rows.append(row)
        parts.append(RaggedDataset(rows, classes))
    return parts[0], parts[1], classes


@pytest.mark.parametrize("baseline", [bag_of_words, nearest_neighbour, summary])
def test_what_can_be_told_apart_is_told_apart(baseline: Baseline) -> None:
    train, test = words() if baseline is bag_of_words else series()[:2]
    assert baseline(train, test, 3).argmax(1).tolist() == test.targets.tolist()


@pytest.mark.parametrize("baseline", [majority, bag_of_words, nearest_neighbour, summary])
def test_neither_padding_nor_the_order_nor_the_number_of_rows_changes_an_answer(baseline: Baseline) -> None:
    train, test = words() if baseline is bag_of_words else series()[:2]
    expected = baseline(train, test, 3)

    def padded(split: RaggedDataset, order: list[int]) -> SequenceDataset:
        inputs, lengths, targets = split.__getitems__(order)
        inputs = torch.cat([inputs, inputs[:, :3]], 1)
        past = torch.arange(inputs.shape[1]) >= lengths[:, None]
        inputs[past] = 6 if inputs.dim() == 2 else 99.0
        return SequenceDataset(inputs, targets, lengths)

    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(1)).tolist()
    found = torch.cat([baseline(padded(train, order), padded(test, [row]), 3) for row in range(len(test))])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-3)  # a solver stops near the optimum


def test_labels_are_predicted_one_by_one_also_those_of_every_train_row() -> None:
    train, test = words(labels=True)
    assert ((bag_of_words(train, test, 3) > 0) == test.targets.bool()).all()
    torch.testing.assert_close(majority(train, test, 3)[0], torch.tensor([0.0, 0.0, 13.815510]))


def test_warping_distances_are_those_of_aeon() -> None:
    """The numbers are those of aeon 1.6.0, ``aeon.distances.dtw_distance(x, y, window=steps / 9)``."""
    steps, channels = torch.arange(9.0, dtype=torch.float64)[:, None], torch.arange(2)
    first = torch.stack([(7 * (10 * row + steps) + 3 * channels) % 11 for row in range(2)])
    second = torch.stack([(5 * (10 * row + steps) + channels) % 13 for row in range(3)])
    expected = {
        1: [[169.0, 507.0, 460.0], [261.0, 342.0, 222.0]],
        2: [[161.0, 507.0, 418.0], [261.0, 342.0, 222.0]],
        9: [[161.0, 507.0, 418.0], [261.0, 342.0, 222.0]],
    }
    for window, distances in expected.items():
        assert warped(first, second, window).tolist() == distances


def test_series_that_are_the_same_but_for_their_speed_are_found_by_warping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is nearer to a row of the other class, unless it is warped; without the time for that, it is not."""
    time = torch.arange(40.0)
    bumps = [torch.exp(-((time - place) ** 2) / 2) for place in (8, 12, 16)]
    rows = torch.stack([sign * bump for sign in (1.0, 0.2) for bump in bumps])[..., None]
    train = SequenceDataset(rows, torch.tensor([0, 0, 0, 1, 1, 1]))
    test = SequenceDataset(torch.exp(-((time - 20) ** 2) / 2)[None, :, None], torch.tensor([0]))
    assert nearest_neighbour(train, test, 2).argmax().item() == 0
    monkeypatch.setattr(neighbours, "CELLS", 1)
    assert nearest_neighbour(train, test, 2).argmax().item() == 1


@pytest.mark.parametrize("baseline", [bag_of_words, nearest_neighbour, summary])
def test_of_a_large_set_the_same_random_rows_are_fitted_and_the_log_says_so(
    baseline: Baseline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train, test = words() if baseline is bag_of_words else series()[:2]
    monkeypatch.setattr(rows, "AT_MOST", 20)
    with caplog.at_level(logging.INFO, "seqmodels"):
        first = baseline(train, test, 3)
    assert f"baseline {baseline.__name__}: fitted on 20 of the {len(train)} train rows" in caplog.text
    torch.testing.assert_close(baseline(train, test, 3), first)
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:20].sort().values.tolist()
    _, lengths, targets = train.__getitems__(chosen)
    sequences = [train[row].inputs[:length] for row, length in zip(chosen, lengths.tolist(), strict=True)]
    torch.testing.assert_close(baseline(RaggedDataset(sequences, targets), test, 3), first)
