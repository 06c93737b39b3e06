"""The length of a training whose configuration sets none."""

import math

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Timer

STEPS_BETWEEN_VALIDATIONS = 50  # at least, so that epochs of a few steps are not spent on validation


class TrainingLength(Callback):
    """Set the number of epochs from the number of steps in each, and validate a small data set less often.

    A data set of 40 rows has two steps per epoch: 30 epochs would hardly train anything. The task says how many epochs
    and steps there are at least: ``default_epochs`` and ``default_steps`` of :class:`~seqmodels.tasks.Task`. Epochs are
    validated at least 50 steps apart, so that patience counted in validations has a meaning there too, but each of them
    where ``max_time`` may end the training at any. Nothing changes where the trainer has ``max_steps``; a trainer with
    its own ``check_val_every_n_epoch`` keeps it.

    Example:
        >>> trainer = Trainer(max_epochs=-1, callbacks=[TrainingLength()], logger=False, barebones=True)
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Set both numbers once the data are read, before the learning-rate schedule is built from them."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        if stage != "fit" or trainer.max_steps != -1:
            return
        trainer.fit_loop.setup_data()
        steps = max(1, math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches))
        every = trainer.check_val_every_n_epoch or 1
        if trainer.check_val_every_n_epoch == 1 and not any(isinstance(callback, Timer) for callback in callbacks):
            trainer.check_val_every_n_epoch = every = max(1, round(STEPS_BETWEEN_VALIDATIONS / steps))
        epochs = max(getattr(pl_module, "default_epochs", 1), math.ceil(getattr(pl_module, "default_steps", 1) / steps))
        trainer.fit_loop.max_epochs = math.ceil(epochs / every) * every  # ends with a validation
