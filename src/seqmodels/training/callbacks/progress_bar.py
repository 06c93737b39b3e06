"""Progress output of a run: one line per validation, on a terminal above a progress bar."""

import sys
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from seqmodels.training.callbacks.ending import epochs_of

ALL, STEP = 50, 10  # all of the first 50 lines are printed, every 10th of the first 500, every 100th of the first 5000


def progress() -> Callback:
    """Return a progress bar if the output is a terminal, plain lines if it is a file or a pipe.

    The trainer of a run prints the lines of :class:`EpochLines` above the bar, too.

    Example:
        >>> isinstance(progress(), EpochLines)
        True
    """
    return RichProgressBar() if sys.stdout.isatty() else EpochLines()


class EpochLines(Callback):
    """Print a line after each validation, or after each epoch if there is no validation.

    A line has the epochs or steps so far, the main metrics, with ``*`` after the best score so far of the checkpoint
    callback, and the seconds since the last line. From the 51st line on, only every 10th is printed, from the 501st on
    every 100th, and so on, but always the last.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> trainer = Trainer(callbacks=[EpochLines()], logger=False, enable_progress_bar=False)
    """

    def __init__(self) -> None:
        self._started = 0.0
        self._best: Tensor | None = None
        self._count = 0
        self._place: str | None = None  # of the line to print
        self._printed: str | None = None  # the last place; None before training
        self._fresh: set[str] = set()  # stages that have ended since

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._started, self._best = time.perf_counter(), _best_score(trainer)
        self._printed = _place(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._place = _place(trainer)
            self._fresh.add("val")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._fresh.add("train")
        if not trainer.enable_validation:
            self._place = _place(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._print_if_due(trainer)  # not before: the module logs its training metrics after the callbacks

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        self._print_if_due(trainer)  # not before: the checkpoint callback comes last

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        last = _place(trainer)
        if self._printed not in (None, last):
            self._print(trainer, last)

    def _print_if_due(self, trainer: Trainer) -> None:
        if self._place is None:
            return
        place, self._place = self._place, None
        self._count += 1
        if _shown(self._count):
            self._print(trainer, place)

    def _print(self, trainer: Trainer, place: str) -> None:
        now, best = time.perf_counter(), _best_score(trainer)
        monitor = getattr(trainer.checkpoint_callback, "monitor", None)
        improved = best is not None and (self._best is None or bool(best != self._best))
        metrics = trainer.callback_metrics
        stale = {"train", "val"} - self._fresh
        names = [name for name in _main(metrics, monitor) if name.split("/")[0] not in stale]
        mark = {monitor: "*" if improved else " "}
        shown = "  ".join(f"{name} {metrics[name]:.4f}{mark.get(name, '')}" for name in names)
        if trainer.is_global_zero:
            sys.stdout.write(f"{place}  {shown}  {now - self._started:.1f} s\n")
            sys.stdout.flush()
        self._started, self._best, self._printed, self._fresh = now, best, place, set()


def _shown(count: int) -> bool:
    """Return whether the line with this number, from 1, is printed."""
    every = 1
    while count > ALL * every:
        every *= STEP
    return count % every == 0


def _place(trainer: Trainer) -> str:
    """Return where in training the trainer is: ``epoch 3/30``, or ``step 200/2000 (epoch 4.5)`` if steps end it."""
    epochs = epochs_of(trainer)
    if trainer.max_steps != -1 and trainer.estimated_stepping_batches == trainer.max_steps:
        return f"step {trainer.global_step}/{trainer.max_steps} (epoch {epochs:g})"
    return f"epoch {epochs:g}/{trainer.max_epochs if trainer.max_epochs not in (None, -1) else '?'}"


def _best_score(trainer: Trainer) -> Tensor | None:
    return getattr(trainer.checkpoint_callback, "best_model_score", None)


def _main(metrics: dict[str, Tensor], monitor: str | None) -> list[str]:
    """Return the names of the losses, of the first other validation metric, and of the monitored one."""
    losses = [name for name in metrics if name.endswith("/loss")]
    others = [name for name in metrics if name.startswith("val/") and name not in losses]
    main = ["val/accuracy"] if "val/accuracy" in others else others[:1]
    return sorted({*losses, *main, *([monitor] if monitor in metrics else [])})
