"""Where a run stands, and how Lightning is brought back there.

Lightning can save at any moment of an epoch, but goes on exactly only from some of them. A resume point is taken at
one kind of moment: as a step or an epoch begins, when all before it has ended, its validation and its logging among it.
What Lightning's loops then say of the epoch or step that has just begun is taken back when the point is loaded.
"""

from typing import Any, NamedTuple

from lightning.pytorch import Trainer


class Position(NamedTuple):
    """How much of a run has ended."""

    epochs: int
    batches: int  # of the epoch that follows them
    total_batches: int  # of all epochs
    logged_steps: int  # the step under which the next metrics are logged

    @classmethod
    def of(cls, trainer: Trainer, batches: int) -> "Position":
        """Return where a trainer stands as its training step number ``batches`` of an epoch begins, or the epoch."""
        loop = trainer.fit_loop.epoch_loop
        return cls(trainer.current_epoch, batches, loop.batch_progress.total.completed, loop._batches_that_stepped)


def restore_position(loops: dict[str, Any], position: Position) -> None:
    """Change the state of Lightning's loops, as a checkpoint holds it, so that training goes on at ``position``."""
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
    # Lightning adds the last step of those that ended inside an epoch itself.
    loop["epoch_loop.state_dict"] = {**loop["epoch_loop.state_dict"], "_batches_that_stepped": steps - inside}
    loop["state_dict"] = {
        **loop["state_dict"],
        "combined_loader": [],
    }  # loaded too late where a schedule asks its length


def start_at(trainer: Trainer, batches: int) -> None:
    """Begin with training step number ``batches`` of the epoch that the trainer has been put back to."""
    if batches:
        loader: Any = trainer.train_dataloader
        loader.load_state_dict({"batches": batches})
    else:  # an epoch from its start is none that goes on
        trainer.fit_loop._restarting = False
        trainer.fit_loop.epoch_loop.restarting = False


def clear_restart_flag(trainer: Trainer) -> None:
    """Let Lightning treat the epoch that it has entered as any other; else it spares schedules that watch a metric."""
    trainer.fit_loop._restarting = False


def _batch(count: int, inside: bool) -> dict[str, int]:
    """Return the progress after ``count`` batches, the last of them as seen by the hook ``on_train_batch_end``."""
    return {"ready": count, "started": count, "processed": count, "completed": count - inside}
