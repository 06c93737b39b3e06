"""No update from a loss or gradient that is not finite."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from seqmodels.data.loaders import ResumableLoader
from seqmodels.errors import NotFinite, shortened
from seqmodels.tasks import Task
from seqmodels.training.callbacks.gradient_norms import gradient_norm

Action = Literal["stop", "skip"]
MAX_NAMES = 5  # names of parameters in a message


class FiniteSteps(Callback):
    """Prevent updates from a loss or a gradient that is NaN or infinite.

    The check costs one norm over all gradients and one device synchronisation per update. If gradients are scaled for
    half precision, infinite ones are part of the search for a scale: the scaler skips such updates, and the run ends
    only after more than ``max_skipped`` in a row.

    Args:
        action: ``stop`` ends the run before the update; ``skip`` skips the update, discards the metrics and carried
            states of its batches, and logs the number of skipped updates as ``train/skipped_steps``.
        max_skipped: number of consecutive updates that may be skipped; one more ends the run.

    Raises:
        ValueError: an argument is out of range.
        NotFinite: in training, if the run ends.

    Example:
        >>> FiniteSteps("skip", max_skipped=3).action
        'skip'
    """

    def __init__(self, action: Action = "stop", *, max_skipped: int = 10) -> None:
        if action not in get_args(Action):
            raise ValueError(f"action must be one of {', '.join(get_args(Action))}, got {action!r}")
        if max_skipped < 0:
            raise ValueError(f"max_skipped must not be negative, got {max_skipped}")
        self.action = action
        self.max_skipped = max_skipped
        self.skipped = 0
        self._in_a_row = 0
        self._first = 0  # number of the first batch of the update
        self._batches: list[Any] = []
        self._losses: list[Tensor] = []
        self._before: Any = None  # what the epoch had recorded when the update began

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped, "in_a_row": self._in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped, self._in_a_row = state_dict["skipped"], state_dict["in_a_row"]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._first, self._batches, self._losses = batch_idx, [], []
            if self.action == "skip" and isinstance(pl_module, Task):
                self._before = pl_module.recorded()
        self._batches.append(batch)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:  # noqa: ARG002
        self._losses.append(loss.detach())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
        total = sum(self._losses, start=gradient_norm(parameters))
        if trainer.world_size > 1:  # all or none
            total = trainer.strategy.reduce(total, reduce_op="sum")
        if math.isfinite(total.item()):
            self._in_a_row = 0
            return
        problem = self._problem(pl_module)
        if trainer.world_size > 1:
            found = torch.tensor(float(bool(problem)), device=pl_module.device)
            if trainer.strategy.reduce(found, reduce_op="sum") > 0 and not problem:
                problem = "the loss of another process is not finite"
        if problem:  # else only the sum of squares overflowed, and clipping takes care of it
            self._reject(trainer, pl_module, optimizer, problem)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.action == "skip":
            pl_module.log("train/skipped_steps", float(self.skipped))

    def _problem(self, pl_module: LightningModule) -> str:
        """Return a description of what is not finite, or an empty string."""
        losses = [f"{loss.item():g}" for loss in self._losses if not loss.isfinite()]
        names = [
            name
            for name, parameter in pl_module.named_parameters()
            if parameter.grad is not None and not parameter.grad.isfinite().all()
        ]
        parts = [f"the loss is {' and '.join(losses)}"] if losses else []
        if names:
            parts.append(f"the gradient is not finite in {shortened(names, MAX_NAMES)}")
        return "; ".join(parts)

    def _reject(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer, problem: str) -> None:
        """End the run, or skip the update."""
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None and "the loss" not in problem
        self._in_a_row += 1
        what = f"epoch {trainer.current_epoch}, step {trainer.global_step}: {problem}; {self._where(trainer)}"
        if (self.action == "stop" and not scaled) or self._in_a_row > self.max_skipped:
            count = f" ({self._in_a_row} updates in a row)" if self._in_a_row > 1 else ""
            hint = "" if self.action == "skip" else "; callbacks.finite.action=skip skips such updates"
            raise NotFinite(
                f"{what}. No update was made{count}, and the checkpoints are unaffected. Try a smaller "
                f"optimizer.lr or trainer.gradient_clip_val, or trainer.precision=32-true{hint}"
            )
        self.skipped += 1
        if scaled:  # the scaler skips the update itself
            return
        rank_zero_warn(f"update skipped: {what}")
        optimizer.zero_grad(set_to_none=True)  # optimisers skip parameters without a gradient
        if isinstance(pl_module, Task):
            pl_module.rollback(self._before)

    def _where(self, trainer: Trainer) -> str:
        """Return a description of the batches of the update and of the origin of their rows."""
        loader: Any = trainer.train_dataloader
        parts = []
        for number, batch in enumerate(self._batches, start=self._first):
            text = f"batch {number}"
            if isinstance(loader, ResumableLoader):
                origins = loader.origins(trainer.current_epoch, number)
                text += f" has {loader.ORIGIN} {', '.join(origins)} of the training split"
                if bad := [origins[row] for row in _bad_rows(batch) if row < len(origins)]:
                    text += f" (inputs that are not finite: {', '.join(bad)})"
            parts.append(text)
        return "; ".join(parts)


def _bad_rows(batch: Any) -> Sequence[int]:
    """Return the rows of a batch whose inputs are not finite."""
    inputs = getattr(batch, "inputs", None)
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        return []
    return (~inputs.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
