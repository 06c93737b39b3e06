"""The end of a training: a validation after the last step, why training ended, and what its best checkpoint holds."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from seqmodels.training.refitting import StopAfter


class LastValidation(Callback):
    """Validate after the last of ``max_steps`` too, and store the last validation and its place in checkpoints."""

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        if trainer.global_step == trainer.max_steps and trainer.val_check_batch is not None:
            over_epochs = trainer.check_val_every_n_epoch is None
            done = trainer.fit_loop.epoch_loop.total_batch_idx if over_epochs else batch_idx
            trainer.val_check_batch = done + 1

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        metrics = trainer.callback_metrics.items()
        checkpoint["validation"] = {name: float(value) for name, value in metrics if name.startswith("val/")}
        checkpoint["epochs"] = epochs_of(trainer)


def epochs_of(trainer: Trainer) -> float:
    """Return how many epochs the trainer has completed in this run, with two digits of the one that it is in."""
    batches = trainer.fit_loop.epoch_loop.batch_progress.total.completed
    length = trainer.num_training_batches
    epochs = round(batches / length, 2) if 0 < length < float("inf") else trainer.current_epoch
    return int(epochs) if epochs == int(epochs) else epochs


def lengths(trainer: Trainer) -> dict[str, float]:
    """Return how long the training was, as metrics."""
    return {"epochs": epochs_of(trainer), "steps": trainer.global_step}


def best_metrics(trainer: Trainer, best: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the epoch and step of the best checkpoint and its validation metrics, as ``best/val/loss`` or the like.

    Args:
        trainer: after training.
        best: the content of the best checkpoint, None if there is none.
    """
    callback = trainer.checkpoint_callback
    score, monitor = getattr(callback, "best_model_score", None), getattr(callback, "monitor", None)
    found = {} if score is None else {f"best/{monitor}": float(score)}
    if best is not None:
        found = {f"best/{name}": value for name, value in best.get("validation", {}).items()} | found
        found |= {"best/epoch": best.get("epochs", best["epoch"] + 1), "best/step": best["global_step"]}
    return found


def account(trainer: Trainer, metrics: Mapping[str, float]) -> str:
    """Return a line on how long the training was, why it ended, and which of its validations was the best."""
    length = f"{counted(metrics['epochs'], 'epoch')}, {counted(metrics['steps'], 'step')}"
    line = f"training ended after {length}: {reason(trainer)}"
    monitor = getattr(trainer.checkpoint_callback, "monitor", None)
    if (score := metrics.get(f"best/{monitor}")) is not None and "best/epoch" in metrics:
        return f"{line}; best {monitor} {score:.4g} at epoch {metrics['best/epoch']:g}"
    if not any(name.startswith("val/") for name in metrics):
        return f"{line}; without a validation"
    return line


def reason(trainer: Trainer) -> str:
    """Return why a training has ended."""
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return f"trainer.max_steps={trainer.max_steps} reached"
    if trainer.max_epochs not in (None, -1) and trainer.current_epoch >= (trainer.max_epochs or 0):
        return f"trainer.max_epochs={trainer.max_epochs} reached"
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next(filter(None, map(_asked, callbacks)), "a callback asked to stop (trainer.should_stop)")


def _asked(callback: Callback) -> str | None:
    """Return why a callback asked to stop, None if it did not."""
    if isinstance(callback, StopAfter):
        return f"as many epochs as the best checkpoint had ({callback.epochs})"
    if isinstance(callback, Timer) and (left := callback.time_remaining()) is not None and left <= 0:
        return "trainer.max_time reached"
    if not isinstance(callback, EarlyStopping) or callback.stopping_reason == EarlyStoppingReason.NOT_STOPPED:
        return None
    if callback.stopping_reason == EarlyStoppingReason.PATIENCE_EXHAUSTED:
        return f"early stopping, {callback.monitor} has not improved for {counted(callback.wait_count, 'validation')}"
    message = (callback.stopping_reason_message or "").removesuffix(" Signaling Trainer to stop.")
    return f"early stopping, {message}"


def counted(count: float, noun: str) -> str:
    return f"{count:g} {noun}{'s' * (count != 1)}"
