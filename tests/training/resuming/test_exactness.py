"""A resumed run equals an uninterrupted one: weights, optimiser, rates, metrics, log."""

import random
from pathlib import Path

import pytest

from seqmodels.errors import ConfigError
from seqmodels.training.fit import train
from tests.composing import PLAIN, composed
from tests.training.resuming.runs import Crash, CrashAt, Hook, Rates, assert_same, interrupted

STEPS, EPOCHS = 7, 3
DIGITS = [
    *("data=digits", "data.batch_size=16", "cell.hidden_size=5", "trainer=cpu"),
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
    metrics = train(composed(folder, "callbacks.resume_points.every_n_steps=1", *overrides), rates)
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


CALLBACKS = "resume_points,model_checkpoint,early_stopping,lr_monitor"
VARIANTS: dict[str, list[str]] = {
    "dropout": ["model.dropout=0.3", "model.depth=2"],
    "recurrent dropout": ["regularizers=recurrent_dropout"],
    "zoneout": ["regularizers=zoneout"],
    "weight drop": ["regularizers=weight_drop"],
    "augmentation": ["augmentation=jitter"],
    "accumulation": ["trainer.accumulate_grad_batches=2"],
    "moving average": [f"callbacks=[{CALLBACKS},ema]", "callbacks.ema.decay=0.8"],
    "averaged epochs": [
        f"callbacks=[{CALLBACKS},swa]",
        "callbacks.swa.swa_epoch_start=1",
        "callbacks.swa.annealing_epochs=1",
        "scheduler=step",
    ],
    "averaging when it stands still": [f"callbacks=[{CALLBACKS},averaging]", "callbacks.averaging.patience=1"],
    "schedule by epochs": ["scheduler=step", "scheduler.step_size=1"],
    "plateau": ["scheduler=plateau", "scheduler.patience=0", "optimizer.lr=3.0"],
    "momentum": ["optimizer=sgd", "optimizer.lr=0.1"],
    "validation inside the epoch": ["+trainer.val_check_interval=3"],
    "a number of steps": ["trainer.max_steps=20"],
    "no validation": [
        "trainer.limit_val_batches=0",
        "callbacks.early_stopping=null",
        "callbacks.model_checkpoint.monitor=null",
    ],
    "half precision": ["trainer.precision=bf16-mixed", *PLAIN],
}


@pytest.mark.long
@pytest.mark.parametrize("variant", VARIANTS)
def test_whatever_draws_counts_or_averages_goes_on_exactly(variant: str, tmp_path: Path) -> None:
    overrides = [*DIGITS, *VARIANTS[variant]]
    moments: list[Hook] = [("on_train_batch_end", 1, 3), ("on_train_epoch_start", 2, -1)]  # all moments: above
    check(reference(tmp_path / "whole", overrides), tmp_path / "broken", overrides, *moments)


WORDS = ["the", "old", "sea", "rolls", "on", "over", "grey", "stones", "while", "gulls", "cry", "above", "it"]


def written_text(folder: Path) -> list[str]:
    """Write a text of documents; return the overrides of a language model that reads it in windows."""
    generator = random.Random(3)
    path = folder / "text.txt"
    path.write_text("\n\n".join(" ".join(generator.choices(WORDS, k=generator.randint(9, 60))) for _ in range(90)))
    return [
        *("task=language_modeling", "data=text", f"data.path='{path}'", "data.batch_size=3", "data.bptt=11"),
        *("cell.hidden_size=5", "model.dropout_output=0.2", "model.dropout_embedding=0.1", "optimizer.lr=0.01"),
        *("trainer=cpu", f"callbacks=[{CALLBACKS}]", "logger=csv", "trainer.max_epochs=3", "vocabulary=word"),
        *("trainer.log_every_n_steps=2", "trainer.limit_val_batches=3", "trainer.limit_test_batches=3"),
        "trainer.limit_train_batches=12",
    ]


def test_the_state_that_windows_of_text_carry_goes_on(tmp_path: Path) -> None:
    overrides = written_text(tmp_path)
    moments: list[Hook] = [("on_train_batch_end", 0, 4), ("on_train_batch_end", 1, 6), ("on_validation_start", 1, -1)]
    check(reference(tmp_path / "whole", overrides), tmp_path / "broken", overrides, *moments)


def written_labels(folder: Path) -> list[str]:
    """Write labelled texts of many lengths; return the overrides of a classifier that reads them in buckets."""
    generator = random.Random(5)
    rows = [
        (generator.choice("ab"), " ".join(generator.choices(WORDS, k=generator.randint(1, 20)))) for _ in range(120)
    ]
    path = folder / "labels.csv"
    path.write_text("label,text\n" + "".join(f"{label},{text}\n" for label, text in rows))
    return [
        *(
            "data=text_csv",
            f"data.path='{path}'",
            "data.batch_size=7",
            "data.bucketing=true",
            "augmentation=token_drop",
        ),
        *("cell.hidden_size=5", "trainer=cpu", f"callbacks=[{CALLBACKS}]", "logger=csv", "trainer.max_epochs=3"),
        *("trainer.log_every_n_steps=2", "trainer.limit_val_batches=2", "trainer.limit_test_batches=2"),
    ]


@pytest.mark.long
def test_worker_processes_may_come_and_go(tmp_path: Path) -> None:
    overrides = written_labels(tmp_path)
    whole = reference(tmp_path / "whole", overrides)
    for before, after in ((0, 2), (2, 0)):
        folder, point = tmp_path / f"from {before}", "callbacks.resume_points.every_n_steps=1"
        broken = composed(folder, *overrides, point, f"data.num_workers={before}")
        with pytest.raises(Crash):
            train(broken, CrashAt("on_train_batch_end", 1, 5))
        train(composed(folder, *overrides, point, f"data.num_workers={after}", resume=True))
        assert_same(whole[0], folder)


def test_a_finished_run_may_train_longer(tmp_path: Path) -> None:
    overrides = [*DIGITS, "scheduler=constant", "regularizers=recurrent_dropout", f"callbacks=[{CALLBACKS},ema]"]
    whole = reference(tmp_path / "whole", overrides)
    train(composed(tmp_path / "longer", *overrides, "trainer.max_epochs=2"))
    train(composed(tmp_path / "longer", *overrides, resume=True))
    assert_same(whole[0], tmp_path / "longer")


def test_a_moved_run_goes_on_with_its_log_and_its_best(whole: Reference, tmp_path: Path) -> None:
    point = "callbacks.resume_points.every_n_steps=1"
    with pytest.raises(Crash):
        train(composed(tmp_path / "here", *DIGITS, point), CrashAt("on_train_batch_end", 2, 3))
    (tmp_path / "here").rename(tmp_path / "there")
    train(composed(tmp_path / "there", *DIGITS, point, resume=True))
    assert_same(whole[0], tmp_path / "there")
    assert not (tmp_path / "here").exists()


def test_an_early_stop_is_not_taken_back(tmp_path: Path) -> None:
    stopping = ["optimizer.lr=5.0", "callbacks.early_stopping.patience=1", "trainer.max_epochs=9"]
    whole = reference(tmp_path / "whole", [*DIGITS, *stopping])
    assert max(whole[2]) < 9 * STEPS - 1
    check(whole, tmp_path / "broken", [*DIGITS, *stopping], ("on_test_start", max(whole[2]) // STEPS + 1, -1))


def test_a_run_that_was_broken_off_before_its_first_point_begins_anew(whole: Reference, tmp_path: Path) -> None:
    never = ["callbacks.resume_points.every_seconds=null"]
    with pytest.raises(Crash):
        train(composed(tmp_path, *DIGITS, *never), CrashAt("on_train_batch_end", 1, 3))
    train(composed(tmp_path, *DIGITS, *never, resume=True))
    assert_same(whole[0], tmp_path)


def test_damaged_points_are_fallen_back_from_and_never_trained_over(whole: Reference, tmp_path: Path) -> None:
    often = [*DIGITS, "callbacks.resume_points.every_n_steps=1"]
    with pytest.raises(Crash):
        train(composed(tmp_path, *often), CrashAt("on_train_batch_end", 1, 3))
    points = [tmp_path / "checkpoints" / name for name in ("last.ckpt", "previous.ckpt")]
    damaged = points[0].read_bytes()[:-9]
    points[0].unlink()
    points[0].write_bytes(damaged)
    with pytest.raises(Crash):
        train(composed(tmp_path, *often, resume=True), CrashAt("on_train_batch_end", 1, 5))
    for point in points:
        point.unlink()
        point.write_bytes(damaged)
    with pytest.raises(ConfigError, match=r"damaged.*best\.ckpt starts a new run"):
        train(composed(tmp_path, *often, resume=True))
    assert points[0].read_bytes() == damaged
