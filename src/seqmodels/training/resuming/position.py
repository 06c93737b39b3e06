"""The position of a run within training, and how it is restored in Lightning.

Lightning can save at any point of an epoch, but resumes exactly only from some of them. A resume point is therefore
saved only when a step or an epoch begins and everything before it, including validation and logging, has ended.
Lightning's loops have then already counted the new epoch or step; that is undone when the point is loaded.
"""

from typing import Any, NamedTuple

from lightning.pytorch import Trainer


class Position(NamedTuple):
    """The completed part of a run."""

    epochs: int
    batches: int  # in the epoch that follows them
    total_batches: int  # in all epochs
    logged_steps: int  # the step under which the next metrics are logged

    @classmethod
    def of(cls, trainer: Trainer, batches: int) -> "Position":
        """Return the position of a trainer at the start of training step ``batches`` of an epoch, or of the epoch."""
        loop = trainer.fit_loop.epoch_loop
        return cls(trainer.current_epoch, batches, loop.batch_progress.total.completed, loop._batches_that_stepped)


def restore_position(loops: dict[str, Any], position: Position) -> None:
    """Change the state of Lightning's loops in a checkpoint so that training continues at ``position``."""
    loop = loops["fit_loop"]
    epochs, batches, total, steps = position
    inside = batches > 0
    begun = {"ready": epochs + inside, "started": epochs + inside, "processed": epochs, "completed": epochs}
    loop["epoch_progress"] = {"total": dict(begun), "current": dict(begun)}
    loop["epoch_loop.batch_progress"] = {
        "total": _batch(total, inside),
        "current": _batch(batches, inside),
        "is_last_batch": False,
    }
    # Inside an epoch, Lightning counts the last completed step itself.
    loop["epoch_loop.state_dict"] = {**loop["epoch_loop.state_dict"], "_batches_that_stepped": steps - inside}
    # Lightning loads the state of the loader too late for schedules that ask for its length; start_at does it.
    loop["state_dict"] = {**loop["state_dict"], "combined_loader": []}


def start_at(trainer: Trainer, batches: int) -> None:
    """Start with training step ``batches`` of the epoch that was restored."""
    if batches:
        loader: Any = trainer.train_dataloader
        loader.load_state_dict({"batches": batches})
    else:  # an epoch from its start is not a restart
        trainer.fit_loop._restarting = False
        trainer.fit_loop.epoch_loop.restarting = False


def clear_restart_flag(trainer: Trainer) -> None:
    """Make Lightning treat the current epoch as any other; else it skips schedules that monitor a metric."""
    trainer.fit_loop._restarting = False


def _batch(count: int, inside: bool) -> dict[str, int]:
    """Return the progress after ``count`` batches, the last one as it is in the hook ``on_train_batch_end``."""
    return {"ready": count, "started": count, "processed": count, "completed": count - inside}
