"""The records on which a model is worst come first."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seqmodels.inspection import metrics_by, slices
from seqmodels.inspection.production.records import scored
from tests.tasks.test_seq2seq import rows_of, strings, task_of

RANDOM = np.random.default_rng(0)
ROWS = 400
SHOP = RANDOM.choice(["north", "south", "east"], ROWS)
LENGTH = RANDOM.integers(1, 50, ROWS)
LOSS = RANDOM.exponential(0.3, ROWS)


def test_a_planted_bad_slice_is_first_and_the_only_one_that_is_worse() -> None:
    losses = LOSS + (SHOP == "south") * 0.5
    worst, *others = slices(losses, {"length": LENGTH.tolist(), "shop": SHOP.tolist()}, (losses < 0.5).astype(float))
    assert (worst.attribute, worst.value, worst.rows) == ("shop", "south", int((SHOP == "south").sum()))
    assert worst.significant
    assert worst.loss == pytest.approx(losses[SHOP == "south"].mean())
    assert worst.accuracy == pytest.approx((losses < 0.5)[SHOP == "south"].mean())
    assert not any(each.significant for each in others)


def test_a_number_is_cut_at_its_quartiles() -> None:
    losses = LOSS + (np.quantile(LENGTH, 0.75) < LENGTH) * 0.5
    worst, *_ = slices(losses, {"length": LENGTH.tolist(), "shop": SHOP.tolist()})
    assert worst.attribute == "length"
    assert worst.value == f"from {np.quantile(LENGTH, 0.75):g}"


def test_a_few_bad_records_do_not_come_before_a_large_bad_group() -> None:
    shop, losses = SHOP.copy(), LOSS + (SHOP == "south") * 0.5
    shop[:5], losses[:5] = "tiny", 9.0
    worst, *others = slices(losses, {"shop": shop.tolist()})
    assert worst.value == "south"
    assert "tiny" not in {each.value for each in others}
    groups = {each.value: each.rows for each in metrics_by(losses, shop.tolist())}
    assert groups["tiny"] == 5


def test_records_without_a_value_are_in_no_slice_and_free_texts_are_no_groups() -> None:
    values = [None if number % 2 else "a" for number in range(100)]
    (only,) = slices(LOSS[:100], {"column": values, "text": [f"text {number}" for number in range(100)]})
    assert (only.value, only.rows) == ("a", 50)
    with pytest.raises(ValueError, match="one value for each of 100 records, got 3"):
        slices(LOSS[:100], {"column": ["a"] * 3})


def test_the_loss_of_a_pair_is_the_one_that_training_minimises() -> None:
    data = strings()
    task, split = task_of(data).eval(), data.split("test")
    subject: Any = SimpleNamespace(
        task=task, preprocessing=task.preprocessing, vocabulary=None, recipe={"class_names": ()}
    )
    found = scored(subject, split, {"topic": ["a", "b"] * 20})
    batch = rows_of(data)
    assert found.correct is None
    assert found.attributes == {"length": batch.lengths.tolist(), "topic": (["a", "b"] * 20)[: len(split)]}
    weights = batch.target_lengths.numpy()
    assert float((found.losses * weights).sum() / weights.sum()) == pytest.approx(
        float(task.measure(batch, "train").detach())
    )
