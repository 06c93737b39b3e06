"""Averaged weights, from the moment on when training stands still."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor


class NonMonotonicAveraging(Callback):
    """Averages the weights of all steps once validation stops getting better: NT-ASGD of AWD-LSTM.

    The averages begin when ``monitor`` is worse than the best of all validations but the last ``patience`` (Merity,
    Keskar and Socher, 2018, arXiv 1708.02182; Polyak and Juditsky, 1992). From then on they are what is validated, what
    checkpoints hold as weights and what training leaves behind, while the optimiser goes on from the weights
    themselves.

    Args:
        monitor: the metric; smaller is better.
        patience: validations that may pass without a better one.
    """

    def __init__(self, *, monitor: str = "val/loss", patience: int = 5) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1 validation, got {patience}")
        self.monitor = monitor
        self.patience = patience
        self.values: list[float] = []
        self.averages: list[Tensor] = []
        self.steps = 0
        self._own: list[Tensor] = []  # the weights themselves, while the averages stand in their place

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
        """Note how good the model was, and begin with the averages where that stands still."""
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
        """Let the checkpoint's weights be the averages; the weights themselves go beside them, to go on from."""
        if self.steps:
            names = [name for name, _ in pl_module.named_parameters()]
            own = self._own or _copies(pl_module)
            checkpoint["weights_before_averaging"] = dict(zip(names, own, strict=True))
            checkpoint["state_dict"].update(zip(names, self.averages, strict=True))

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on from the weights themselves where training goes on; Lightning has loaded the averages."""
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
