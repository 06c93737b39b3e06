"""Resume points: the checkpoint ``last.ckpt``, from which a run continues as if it had not been interrupted."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, StochasticWeightAveraging
from lightning.pytorch.trainer.states import TrainerFn

from seqmodels.training.checkpoint_file import keep_previous
from seqmodels.training.resuming import csv_rows
from seqmodels.training.resuming.position import Position, clear_restart_flag, restore_position, start_at
from seqmodels.training.resuming.signals import REQUEUE, Interrupted, Signals, requeue

DUE = 1  # a process votes for a resume point with this value; the numbers of signals are higher


class ResumePoints(Callback):
    """Write ``last.ckpt`` periodically, when a signal asks the run to stop, and at the end of training.

    A point is saved when a step or an epoch begins, before any other callback runs: put this callback first. The
    point before it is kept as ``previous.ckpt``. After SIGTERM or SIGINT the run ends with :class:`Interrupted` as soon
    as a point is written; under SLURM, SIGUSR1 also requeues the job.

    Args:
        dirpath: folder of the checkpoints.
        every_seconds: seconds between points, the most work that an interruption without warning can lose.
        every_n_steps: also save a point every that many optimiser steps.

    Raises:
        ValueError: an interval is out of range.

    Example:
        >>> ResumePoints("checkpoints", every_n_steps=100).path.as_posix()
        'checkpoints/last.ckpt'
    """

    def __init__(
        self, dirpath: str | Path, *, every_seconds: float | None = 30.0, every_n_steps: int | None = None
    ) -> None:
        if every_seconds is not None and every_seconds < 0:
            raise ValueError(f"every_seconds must not be negative, got {every_seconds}")
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, got {every_n_steps}")
        self.path = Path(dirpath) / "last.ckpt"
        self.every_seconds = every_seconds
        self.every_n_steps = every_n_steps
        self.seconds = 0.0  # seconds that the run took before it was resumed
        self._logged: dict[str, float] = {}  # metrics of that part
        self._started = self._saved = time.monotonic()
        self._trained = False
        self._first_batch: int | None = None  # set if the run is resumed
        self._at: Position | None = None  # set while a point is written
        self._signals = Signals(_no_children)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        launcher = trainer.strategy.launcher
        self._signals = Signals(getattr(launcher, "kill", _no_children))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in self._logged.items()})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._trained = True
        if self._first_batch is not None:
            start_at(trainer, self._first_batch)
            _resume_averaging(trainer, pl_module)
        self._started = self._saved = time.monotonic()
        self._signals.begin()  # after Lightning, whose handlers would end the run in the middle of a step

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if trainer.global_step > 0:
            self._save_if_due(trainer, Position.of(trainer, 0))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        clear_restart_flag(trainer)
        if batch_idx > 0 and batch_idx % trainer.accumulate_grad_batches == 0:
            self._save_if_due(trainer, Position.of(trainer, batch_idx))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._save_if_due(trainer, Position.of(trainer, 0), ended=True)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Call ``on_train_end`` of the other callbacks if training had already ended, since Lightning does not."""
        if not self._trained:
            for callback in _callbacks(trainer):
                if callback is not self:
                    callback.on_train_end(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        self._signals.end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        self._signals.end()

    def _save_if_due(self, trainer: Trainer, position: Position, *, ended: bool = False) -> None:
        """Write a point if one is due; end the run if a signal has asked for it."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]  # which writes no files
            return
        vote = self._signals.received or (DUE if ended or self._due(trainer) else 0)
        if trainer.world_size > 1:  # all or none
            votes = torch.tensor(vote, device=trainer.strategy.root_device)
            vote = int(trainer.strategy.reduce(votes, reduce_op="max"))
        if not vote:
            return
        self._save(trainer, position)
        if vote != DUE:
            self._signals.end()
            if vote == REQUEUE and trainer.is_global_zero:
                requeue()
            raise Interrupted(vote, f"{position.epochs} epochs and {position.batches} steps")

    def _due(self, trainer: Trainer) -> bool:
        if self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0:
            return True
        return self.every_seconds is not None and time.monotonic() - self._saved >= self.every_seconds

    def _save(self, trainer: Trainer, position: Position) -> None:
        self._at = position
        if trainer.is_global_zero:
            keep_previous(self.path)
        trainer.save_checkpoint(self.path)
        self._at = None
        self._saved = time.monotonic()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        """Store the position of the run in the checkpoints that this callback writes."""
        if self._at is None:
            return
        early = any(isinstance(callback, EarlyStopping) for callback in _callbacks(trainer))
        checkpoint["resume_point"] = {
            "position": self._at._asdict(),
            "stopped_early": trainer.should_stop and early,
            "seconds": self.seconds + time.monotonic() - self._started,
            "logged": {name: float(value) for name, value in trainer.callback_metrics.items()},
            "rows": csv_rows.flush_and_count_rows(trainer),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        """Restore the position of the run; a checkpoint that is not a resume point is left to Lightning."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        _move_best(trainer, checkpoint, self.path.parent)
        point = checkpoint.get("resume_point")
        if point is None:
            return
        position = Position(**point["position"])
        restore_position(checkpoint["loops"], position)
        self._first_batch = position.batches
        trainer.should_stop = point["stopped_early"]
        self.seconds, self._logged = point["seconds"], point["logged"]
        if trainer.is_global_zero:
            csv_rows.restore(trainer, point["rows"])


def _no_children(number: int) -> None:
    """Forward a signal to no one: this process has started no others."""


def _callbacks(trainer: Trainer) -> list[Callback]:
    return trainer.callbacks  # type: ignore[attr-defined]


def _move_best(trainer: Trainer, checkpoint: dict[str, Any], folder: Path) -> None:
    """Point the state of ``ModelCheckpoint`` to the current folder of the run, which may have been moved."""
    for callback in trainer.checkpoint_callbacks:
        if not isinstance(callback, ModelCheckpoint):
            continue
        state = checkpoint.get("callbacks", {}).get(callback.state_key)
        if not state or Path(str(callback.dirpath)) != folder.absolute():
            continue
        best = state.get("best_model_path")
        if best and not (folder / Path(best).name).is_file():  # the best checkpoint of another run
            continue
        for key in ("best_model_path", "last_model_path", "kth_best_model_path"):
            if state.get(key):
                state[key] = str(folder.absolute() / Path(state[key]).name)
        state["best_k_models"] = {
            str(folder.absolute() / Path(path).name): score for path, score in state.get("best_k_models", {}).items()
        }
        state["dirpath"] = str(callback.dirpath)


def _resume_averaging(trainer: Trainer, pl_module: LightningModule) -> None:
    """Restart Lightning's SWA schedule if it had begun: SWA itself waits for the next epoch and changes the rates."""
    for callback in _callbacks(trainer):
        if isinstance(callback, StochasticWeightAveraging) and callback._scheduler_state is not None:
            groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
            rates = [group["lr"] for group in groups]
            callback.on_train_epoch_start(trainer, pl_module)
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate
