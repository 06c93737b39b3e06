"""Guards of a training run: non-finite numbers, gradient norms, memory."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from seqmodels.data.loaders import ResumableLoader
from seqmodels.errors import LoadingFailed, NotFinite, OutOfMemory, RunFailed
from seqmodels.tasks import Task

Action = Literal["stop", "skip"]
MAX_NAMES = 5  # names of parameters in a message
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


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
            more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
            parts.append(f"the gradient is not finite in {', '.join(names[:MAX_NAMES])}{more}")
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


@contextmanager
def explain_failures(task: LightningModule, data: Any) -> Iterator[None]:
    """Replace errors of the machine during training by errors that say what to change.

    Raises:
        OutOfMemory: in place of the various out-of-memory errors of devices, allocators and Python.
        LoadingFailed: a worker process died; torch raises this at an arbitrary point of training.
    """
    try:
        yield
    except RunFailed:
        raise
    except (RuntimeError, MemoryError) as error:
        if str(error).startswith("DataLoader worker"):
            raise LoadingFailed(_lost_worker(task, str(error))) from error
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemory(_memory_advice(task, data)) from error


def _lost_worker(task: LightningModule, cause: str) -> str:
    trainer = task.trainer
    epoch, number = trainer.current_epoch, trainer.fit_loop.batch_idx + 1
    loader: Any = trainer.train_dataloader
    rows = loader.origins(epoch, number) if isinstance(loader, ResumableLoader) else []
    return (
        f"a worker process was lost before batch {number} of epoch {epoch}, rows {', '.join(rows)}: "
        f"{cause.strip().splitlines()[0]} Systems kill processes when memory runs out; data.num_workers=0 uses none"
    )


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in NO_MEMORY)


def _memory_advice(task: LightningModule, data: Any) -> str:
    sizes = [size for module in task.modules() if isinstance(size := getattr(module, "hidden_size", None), int)]
    parameters = sum(parameter.numel() for parameter in task.parameters())
    facts = [f"data.batch_size is {data.batch_size}"]
    bptt, lengths = (getattr(data.split("train"), name, None) for name in ("bptt", "lengths"))
    if bptt is not None:
        facts.append(f"data.bptt is {bptt}")
    elif lengths is not None and len(lengths):
        facts.append(f"the longest sequence has {int(max(lengths))} steps")
    if sizes:
        facts.append(f"the widest layer has hidden_size {max(sizes)}")
    smaller = ["data.batch_size", *(["data.bptt"] if bptt is not None else []), "cell.hidden_size"]
    return (
        f"out of memory in training: {', '.join(facts)}, the network has {parameters} parameters. Make "
        f"{' or '.join(smaller)} smaller; a smaller data.batch_size with trainer.accumulate_grad_batches=N leaves the "
        "updates unchanged; trainer.precision=bf16-mixed halves the memory for the backward pass"
    )


def _bad_rows(batch: Any) -> Sequence[int]:
    """Return the rows of a batch whose inputs are not finite."""
    inputs = getattr(batch, "inputs", None)
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        return []
    return (~inputs.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
