"""A run that was broken off, and has gone on, equals one that was not: weights, optimiser, rates, metrics, log."""

from pathlib import Path

import pytest

from seqmodels.training import train
from tests.composing import composed
from tests.resuming.runs import Hook, Rates, assert_same, interrupted

STEPS, EPOCHS = 7, 3
DIGITS = [
    *("data=digits", "data.batch_size=16", "cell.hidden_size=5", "trainer=cpu", "callbacks.progress=null"),
    *(f"trainer.limit_train_batches={STEPS}", f"trainer.max_epochs={EPOCHS}", "trainer.limit_val_batches=2"),
    *("trainer.limit_test_batches=2", "trainer.log_every_n_steps=2", "optimizer.lr=0.01", "logger=csv"),
]
MOMENTS: dict[str, list[Hook]] = {
    "before the first step": [("on_train_batch_start", 0, 0)],
    "after the first step": [("on_train_batch_end", 0, 0)],
    "after the first step of a later epoch": [("on_train_batch_end", 1, 0)],
    "in the middle": [("on_train_batch_end", 1, 3)],
    "after the last step, before validation": [("on_train_batch_end", 1, STEPS - 1)],
    "as validation begins": [("on_validation_start", 1, -1)],
    "as validation ends": [("on_validation_end", 1, -1)],
    "as the epoch ends": [("on_train_epoch_end", 1, -1)],
    "as the next epoch begins": [("on_train_epoch_start", 2, -1)],
    "after the last step of all": [("on_train_batch_end", EPOCHS - 1, STEPS - 1)],
    "as training ends": [("on_train_end", EPOCHS, -1)],
    "in the test": [("on_test_start", EPOCHS, -1)],
    "twice in an epoch": [("on_train_batch_end", 1, 2), ("on_train_batch_end", 1, 4)],
    "in every epoch": [("on_train_batch_end", 0, 5), ("on_validation_start", 1, -1), ("on_train_batch_end", 2, 0)],
}
Reference = tuple[Path, dict[str, float], dict[int, float]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return reference(tmp_path_factory.mktemp("whole"), DIGITS)


def reference(folder: Path, overrides: list[str]) -> Reference:
    rates = Rates()
    metrics = train(composed(folder, *overrides, "callbacks.resume_points.every_n_steps=1"), rates)
    return folder, metrics, rates.rates


def check(whole: Reference, folder: Path, overrides: list[str], *hooks: Hook) -> None:
    expected, expected_metrics, expected_rates = whole
    metrics, rates = interrupted(folder, overrides, *hooks)
    assert rates == expected_rates
    assert {**metrics, "seconds": 0} == {**expected_metrics, "seconds": 0}
    assert_same(expected, folder)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_goes_on_exactly_wherever_it_was_broken_off(moment: str, whole: Reference, tmp_path: Path) -> None:
    check(whole, tmp_path, DIGITS, *MOMENTS[moment])


VARIANTS: dict[str, list[str]] = {
    "dropout": ["model.dropout=0.3", "model.depth=2"],
    "recurrent dropout": ["regularizers=recurrent_dropout"],
    "zoneout": ["regularizers=zoneout"],
    "weight drop": ["regularizers=weight_drop"],
    "augmentation": ["augmentation=jitter"],
    "accumulation": ["trainer.accumulate_grad_batches=2"],
    "buckets": ["data.bucketing=true"],
    "moving average": ["+callbacks=ema", "callbacks.ema.decay=0.8"],
    "averaged epochs": ["+callbacks=swa", "callbacks.swa.swa_epoch_start=1", "callbacks.swa.annealing_epochs=1"],
    "averaging when it stands still": ["+callbacks=averaging", "callbacks.averaging.patience=1"],
    "schedule by epochs": ["scheduler=step", "scheduler.step_size=1"],
    "plateau": ["scheduler=plateau", "scheduler.patience=0", "optimizer.lr=3.0"],
    "momentum": ["optimizer=sgd", "optimizer.lr=0.1"],
    "validation inside the epoch": ["+trainer.val_check_interval=3"],
    "a number of steps": ["trainer.max_steps=18"],
    "no validation": ["trainer.limit_val_batches=0", "callbacks.early_stopping=null", "callbacks.model_checkpoint.monitor=null"],
    "half precision": ["trainer.precision=bf16-mixed"],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_whatever_draws_counts_or_averages_goes_on_exactly(variant: str, tmp_path: Path) -> None:
    overrides = [*DIGITS, *VARIANTS[variant]]
    moments: list[Hook] = [("on_train_batch_end", 1, 3), ("on_train_epoch_start", 2, -1), ("on_train_batch_end", 2, 4)]
    check(reference(tmp_path / "whole", overrides), tmp_path / "broken", overrides, *moments)


TEXT = [
    *("task=language_modeling", "data=text", "model.hidden_size=5", "data.batch_size=3", "data.bptt=7"),
]
