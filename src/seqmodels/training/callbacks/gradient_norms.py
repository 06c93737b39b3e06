"""Norms of gradients."""

from collections.abc import Iterable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer


class GradientNorms(Callback):
    """Log the norm of the gradient before clipping, every ``trainer.log_every_n_steps`` steps.

    Args:
        by_layer: also log the norm for each module with direct parameters, as ``gradient_norm/<module>`` in addition
            to ``gradient_norm/total``.

    Example:
        >>> GradientNorms(by_layer=True).by_layer
        True
    """

    def __init__(self, *, by_layer: bool = False) -> None:
        self.by_layer = by_layer

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:  # noqa: ARG002
        if not trainer.loggers or not trainer._logger_connector.should_update_logs:
            return
        norms = {"total": gradient_norm(pl_module.parameters())}
        if self.by_layer:
            norms |= {
                name.removeprefix("model."): gradient_norm(module.parameters(recurse=False))
                for name, module in pl_module.named_modules()
                if any(parameter.grad is not None for parameter in module.parameters(recurse=False))
            }
        # One device synchronisation for all norms.
        values = dict(zip(norms, torch.stack(list(norms.values())).tolist(), strict=True))
        for logger in trainer.loggers:
            logger.log_metrics(
                {f"gradient_norm/{name}": value for name, value in values.items()},
                step=trainer.fit_loop.epoch_loop._batches_that_stepped,
            )


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients together, ``()`` on their device; 0 if there are none."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))) if gradients else torch.zeros(())
