"""Weight averaging that starts when validation stops improving."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor


class NonMonotonicAveraging(Callback):
    """Average the weights over all steps once validation stops improving: NT-ASGD of AWD-LSTM.

    Averaging starts when ``monitor`` is worse than the best of all validations except the last ``patience`` (Merity,
    Keskar and Socher, 2018, arXiv 1708.02182; Polyak and Juditsky, 1992). From then on, the averages are validated,
    saved in checkpoints and kept at the end of training, while the optimiser continues from the raw weights.

    Args:
        monitor: the metric to watch; smaller is better.
        patience: number of validations without improvement that are tolerated.

    Raises:
        ValueError: ``patience`` is less than 1.

    Example:
        >>> NonMonotonicAveraging(monitor="val/loss", patience=3).patience
        3
    """

    def __init__(self, *, monitor: str = "val/loss", patience: int = 5) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1 validation, got {patience}")
        self.monitor = monitor
        self.patience = patience
        self.values: list[float] = []
        self.averages: list[Tensor] = []
        self.steps = 0
        self._own: list[Tensor] = []  # the raw weights, while the module holds the averages

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        if self.averages:
            self.steps += 1
            with torch.no_grad():
                torch._foreach_lerp_(self.averages, list(pl_module.parameters()), 1 / self.steps)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.steps:
            self._own = _copies(pl_module)
            _put(pl_module, self.averages)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the metric, and start averaging if it has stopped improving."""
        if self._own:
            _put(pl_module, self._own)
            self._own = []
        value = trainer.callback_metrics.get(self.monitor)
        if trainer.sanity_checking or value is None:
            return
        if not self.averages and len(self.values) > self.patience and value > min(self.values[: -self.patience]):
            self.averages = _copies(pl_module)
        self.values.append(float(value))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.steps:
            self._own = _copies(pl_module)
            _put(pl_module, self.averages)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        """Save the averages as the weights of the checkpoint, and the raw weights separately for resuming."""
        if self.steps:
            names = [name for name, _ in pl_module.named_parameters()]
            own = self._own or _copies(pl_module)
            checkpoint["weights_before_averaging"] = dict(zip(names, own, strict=True))
            checkpoint["state_dict"].update(zip(names, self.averages, strict=True))

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue training from the raw weights; Lightning has loaded the averages."""
        own = checkpoint.get("weights_before_averaging")
        if own is not None and trainer.state.fn == TrainerFn.FITTING:
            self.averages = [checkpoint["state_dict"][name].to(pl_module.device, copy=True) for name in own]
            pl_module.load_state_dict({**checkpoint["state_dict"], **own})

    def state_dict(self) -> dict[str, Any]:
        return {"values": self.values, "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.values, self.steps = list(state_dict["values"]), int(state_dict["steps"])


def _copies(module: LightningModule) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def _put(module: LightningModule, values: list[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), values, strict=True):
            parameter.copy_(value)
