"""Non-finite numbers, exploding gradients, exhausted memory: reported before they do damage."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from seqmodels.commands.app import report
from seqmodels.errors import NotFinite, OutOfMemory
from seqmodels.training.callbacks import FiniteSteps
from seqmodels.training.callbacks.gradient_norms import gradient_norm
from seqmodels.training.failures import explain_failures
from seqmodels.training.fit import train
from tests.composing import PLAIN, composed
from tests.golden.runs import runs
from tests.tasks.small import classification as small_classification
from tests.tasks.small import parity
from tests.tasks.small import trainer as small_trainer
from tests.training.resuming.runs import assert_equal, assert_same

COMMON = [
    *("trainer=cpu", "threads=1", "test=false", "logger=csv", "callbacks.progress=null", "trainer.max_epochs=1"),
    *("trainer.limit_train_batches=8", "trainer.limit_val_batches=1", "trainer.log_every_n_steps=1"),
    *("cell.hidden_size=5", "data.batch_size=11"),
]
SKIP = "callbacks.finite.action=skip"
TASKS = ("classification_numbers", "multilabel", "regression", "forecasting_gaussian", "language_modeling_regularized")


class BadWeights(Callback):
    """Makes a weight NaN for some steps, so that the loss, all gradients and the carried states are NaN."""

    def __init__(self, *steps: int) -> None:
        self.steps = steps
        self.after: list[dict[str, Tensor]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.weight = next(p for p in pl_module.parameters() if p.dim() > 1)
        self.kept = self.weight.detach().clone()
        if batch_idx in self.steps:
            self.weight.data.fill_(float("nan"))

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx in self.steps:
            self.weight.data.copy_(self.kept)
        kept: Any = pl_module.state_dict() | dict(enumerate(pl_module.carried_state()))
        optimizer = trainer.optimizers[0].state_dict()["state"]
        kept |= {f"{number}.{name}": value for number, s in optimizer.items() for name, value in s.items()}
        self.after.append({str(name): value.clone() for name, value in kept.items()})


class BadGradient(Callback):
    """Makes the gradient of one parameter infinite at a batch; the loss stays finite."""

    def __init__(self, batch: int) -> None:
        self.batch, self.now = batch, -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.name, weight = next(iter(pl_module.named_parameters()))
        weight.register_hook(lambda grad: grad * float("inf") if self.now == self.batch else grad)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.now = batch_idx


def logged(folder: Path, name: str) -> list[float]:
    with (folder / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


@pytest.mark.parametrize("name", TASKS)
def test_a_loss_that_is_not_finite_ends_the_run_before_the_update(name: str, tmp_path: Path) -> None:
    bad = BadWeights(3)
    with pytest.raises(
        NotFinite, match=r"^epoch 0, step 3: the loss is nan; the gradient .* batch 3 has (rows|tokens) \d"
    ):
        train(composed(tmp_path / "run", *runs(tmp_path)[name], *COMMON), bad)
    assert len(bad.after) == 3
    uncalibrated = "model.margin"  # infinite before the first validation
    assert all(value.isfinite().all() for key, value in bad.after[-1].items() if key != uncalibrated)


def test_the_message_names_the_rows_of_the_batch_as_the_training_split_numbers_them(tmp_path: Path) -> None:
    class BadInputs(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if (trainer.current_epoch, batch_idx) == (1, 2):
                digits = trainer.datamodule.split("train")
                self.rows = [
                    next(i for i in range(len(digits)) if torch.equal(digits.__getitems__([i]).inputs[0], row))
                    for row in batch.inputs
                ]
                batch.inputs[4, 2] = float("inf")

    bad = BadInputs()
    settings = ["data=digits", *COMMON, "trainer.max_epochs=2", "trainer.limit_train_batches=3"]
    with pytest.raises(NotFinite) as caught:
        train(composed(tmp_path, *settings), bad)
    message = str(caught.value)
    assert f"batch 2 has rows {', '.join(map(str, bad.rows))} of the training split" in message
    assert f"(inputs that are not finite: {bad.rows[4]})" in message
    assert "epoch 1, step 5" in message
    assert "optimizer.lr" in message


def test_the_last_checkpoint_before_bad_numbers_goes_on_from_the_last_good_step(tmp_path: Path) -> None:
    settings = ["data=digits", *COMMON, "callbacks.resume_points.every_n_steps=1"]
    with pytest.raises(NotFinite):
        train(composed(tmp_path, *settings), BadGradient(5))
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 5
    assert all(value.isfinite().all() for value in kept["state_dict"].values())


def test_an_infinite_gradient_of_a_finite_loss_is_named_by_its_parameter(tmp_path: Path) -> None:
    bad = BadGradient(2)
    with pytest.raises(NotFinite) as caught:
        train(composed(tmp_path, "data=digits", *COMMON), bad)
    assert f"step 2: the gradient is not finite in {bad.name};" in str(caught.value)


def test_an_infinite_loss_without_a_gradient_that_shows_it_ends_the_run() -> None:
    class Shifted(Callback):
        def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
            loss.data.fill_(float("inf"))

    data = parity()
    data.setup("fit")
    run = small_trainer(max_steps=1, callbacks=[Shifted(), FiniteSteps()])
    with pytest.raises(NotFinite, match="the loss is inf; batch 0"):
        run.fit(small_classification(data), datamodule=data)


@pytest.mark.parametrize("name", TASKS)
def test_a_skipped_step_changes_neither_weights_nor_optimiser_nor_what_windows_carry(name: str, tmp_path: Path) -> None:
    bad = BadWeights(0, 3)
    with pytest.warns(UserWarning, match="update skipped: epoch 0, step [03]:"):
        metrics = train(composed(tmp_path / "run", *runs(tmp_path)[name], *COMMON, SKIP), bad)
    assert_equal(bad.after[3], bad.after[2], "after")
    assert not all(torch.equal(bad.after[4][name], bad.after[3][name]) for name in bad.after[3])
    assert metrics["train/skipped_steps"] == 2
    assert all(torch.tensor(value).isfinite() for name, value in metrics.items() if name.startswith("train/"))


def test_a_skipped_step_records_nothing(tmp_path: Path) -> None:
    """Records the means and metrics of an epoch."""

    class FirstOnly(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            self.recorded = pl_module.recorded()

    whole, cut = FirstOnly(), FirstOnly()
    settings = ["data=digits", "scheduler=constant", *COMMON, SKIP]
    train(composed(tmp_path / "cut", *settings, "trainer.limit_train_batches=3"), cut)
    with pytest.warns(UserWarning, match="update skipped"):
        train(composed(tmp_path / "whole", *settings, "trainer.limit_train_batches=4"), BadWeights(3), whole)
    assert_equal(whole.recorded, cut.recorded, "recorded")


def test_an_update_of_several_batches_is_left_out_as_one(tmp_path: Path) -> None:
    bad = BadWeights(5)
    settings = ["data=digits", *COMMON, SKIP, "trainer.accumulate_grad_batches=2"]
    with pytest.warns(UserWarning, match=r"step 2: the loss is nan; .*batch 4 has rows .*batch 5 has rows"):
        metrics = train(composed(tmp_path, *settings), bad)
    assert_equal(bad.after[5], bad.after[3], "after")
    assert metrics["train/skipped_steps"] == 1


@pytest.mark.parametrize("options", [["trainer.precision=bf16-mixed"], ["trainer.gradient_clip_algorithm=value"]])
def test_steps_are_skipped_in_low_precision_and_however_gradients_are_clipped(
    options: list[str], tmp_path: Path
) -> None:
    bad = BadWeights(3)
    with pytest.warns(UserWarning, match="update skipped"):
        train(composed(tmp_path, "data=digits", *COMMON, SKIP, *options), bad)
    assert_equal(bad.after[3], bad.after[2], "after")


def test_more_skipped_steps_in_a_row_than_allowed_end_the_run(tmp_path: Path) -> None:
    settings = ["data=digits", *COMMON, SKIP, "callbacks.finite.max_skipped=2"]
    with pytest.warns(UserWarning, match="update skipped"):
        train(composed(tmp_path / "apart", *settings), BadWeights(0, 1, 3, 4))
    with (
        pytest.warns(UserWarning, match="update skipped"),
        pytest.raises(NotFinite, match=r"step 5: .*\(3 updates in a row\)"),
    ):
        train(composed(tmp_path / "run", *settings), BadWeights(3, 4, 5))


def test_a_run_with_skipped_steps_goes_on_exactly_and_counts_on(tmp_path: Path) -> None:
    class BadAgain(BadGradient):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            self.now = self.batch if batch_idx in (1, 5) else -1

    settings = ["data=digits", *COMMON, SKIP, "callbacks.resume_points.every_n_steps=1"]
    with pytest.warns(UserWarning, match="update skipped"):
        expected = train(composed(tmp_path / "whole", *settings), BadAgain(1))
    with pytest.warns(UserWarning, match="update skipped"):
        found = _broken_off(tmp_path / "parts", settings, BadAgain)
    assert expected["train/skipped_steps"] == found["train/skipped_steps"] == 2
    assert_same(tmp_path / "whole", tmp_path / "parts")


def _broken_off(folder: Path, settings: list[str], bad: Any) -> dict[str, float]:
    from tests.training.resuming.runs import Crash, CrashAt

    with pytest.raises(Crash):
        train(composed(folder, *settings), bad(1), CrashAt("on_train_batch_end", 0, 3))
    return train(composed(folder, *settings, resume=True), bad(1))


def test_gradients_too_large_for_a_sum_of_squares_are_no_bad_numbers() -> None:
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.full((3,), 1e30)
    module: Any = nn.Module()
    module.weight = weight
    assert not gradient_norm([weight]).isfinite()
    assert FiniteSteps()._problem(module) == ""


def test_exploding_gradients_are_clipped_and_a_plain_network_of_200_steps_stays_finite(tmp_path: Path) -> None:
    class Norms(Callback):
        def __init__(self) -> None:
            self.norms: list[float] = []

        def on_before_zero_grad(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            if any(p.grad is not None for p in pl_module.parameters()):
                self.norms.append(gradient_norm(pl_module.parameters()).item())

    clipped = Norms()
    settings = ["data=adding", "data.time=200", "data.train_rows=88", "data.val_rows=11", *COMMON, "cell=elman"]
    settings += ["cell.activation=relu", "initializer=identity_recurrent", "optimizer=sgd", "optimizer.lr=0.5"]
    settings += ["trainer.gradient_clip_val=0.5", "trainer.max_epochs=2"]
    metrics = train(composed(tmp_path, *settings), clipped)
    before = logged(tmp_path, "gradient_norm/total")
    assert max(before) > 5
    assert len(clipped.norms) >= 8
    assert max(clipped.norms) <= 0.5 + 1e-6
    assert torch.tensor([metrics["train/loss"], metrics["val/loss"]]).isfinite().all()


def test_the_norms_of_the_layers_make_up_that_of_the_whole_gradient(tmp_path: Path) -> None:
    train(composed(tmp_path, "data=digits", *PLAIN, *COMMON, "callbacks.gradient_norms.by_layer=true"))
    names = ["read_out", "recurrent.layers.0.cell"]
    squares = sum(torch.tensor(logged(tmp_path, f"gradient_norm/{name}")) ** 2 for name in names)
    total = torch.tensor(logged(tmp_path, "gradient_norm/total"))
    assert len(total) == 8
    torch.testing.assert_close(torch.as_tensor(squares).sqrt(), total)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FiniteSteps("warn"), "action must be one of stop, skip, got 'warn'"),  # type: ignore[arg-type]
        (lambda: FiniteSteps(max_skipped=-1), "max_skipped must not be negative, got -1"),
    ],
)
def test_a_guard_refuses_settings_that_mean_nothing(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_memory_that_is_out_is_told_with_what_to_change(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    data = parity()
    data.setup("fit")
    with pytest.raises(OutOfMemory) as caught, explain_failures(small_classification(data), data):
        raise error
    message = str(caught.value)
    for words in (
        "data.batch_size is 5",
        "the longest sequence has 7 steps",
        "hidden_size 5",
        "accumulate_grad_batches",
    ):
        assert words in message
    assert report(caught.value) == 1
    assert capsys.readouterr().err == f"seqmodels: {message}\n"


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), explain_failures(nn.Module(), None):  # type: ignore[arg-type]
        raise RuntimeError("shapes differ")


STARVED = """
import resource, sys
import seqmodels.commands.sweeps.sweep, seqmodels.commands.train, seqmodels.training.fit
from seqmodels.cli import run
from seqmodels.sweeping import driver

pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 600 * 2**20,) * 2)
common = ["trainer=cpu", "threads=1", "test=false", "logger=none", "name=starved", "trainer.max_epochs=1"]
common += ["trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "data=parity", "data.min_length=2000"]
common += ["data.max_length=2000", "data.train_rows=512", "data.val_rows=2", "data.test_rows=2", "cell.hidden_size=64"]
print("status", run(["train", *common, "data.batch_size=512"]), flush=True)
space = ["sweep=grid", "sweep/space=empty", "+sweep.space={data.batch_size:[512,1]}", "sweep.storage=journal"]
run(["sweep", *common, *space, "logger=csv", "sweep.trials=2", "sweep.dir=found"])
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the size of the process is read from /proc")
def test_a_run_without_memory_says_what_to_change_and_a_sweep_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARVED], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert "status 1" in done.stdout, done.stderr
    assert "seqmodels: out of memory in training: data.batch_size is 512" in done.stderr
    assert "Traceback" not in done.stderr
    with (tmp_path / "found" / "trials.csv").open() as file:
        trials = sorted((row["state"], row["data.batch_size"]) for row in csv.DictReader(file))
    assert trials == [("complete", "1"), ("fail", "512")], done.stderr
