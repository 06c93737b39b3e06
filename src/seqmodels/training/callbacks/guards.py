"""Guards of a training run: numbers that are not finite, the size of gradients, memory."""

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
SHOWN = 5  # names of parameters in a message
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


class FiniteSteps(Callback):
    """Lets no update be made of a loss or a gradient that is NaN or infinite.

    The check is one norm over all gradients and one wait for the device per update. Where gradients are scaled for
    half precision, infinite ones belong to the search for a scale: the scaler leaves such updates out, and only
    ``max_skipped`` of them in a row end the run.

    Args:
        action: ``stop`` ends the run before the update; ``skip`` leaves the update out, with all that its batches
            have recorded and carry on, and logs how many there were as ``train/skipped_steps``.
        max_skipped: updates in a row that may be left out; one more ends the run.
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
        self._before: Any = None  # what the epoch had recorded as the update began

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
        wrong = self._wrong(pl_module)
        if trainer.world_size > 1:
            said = torch.tensor(float(bool(wrong)), device=pl_module.device)
            if trainer.strategy.reduce(said, reduce_op="sum") > 0 and not wrong:
                wrong = "the loss of another process is not finite"
        if wrong:  # else only the sum of squares was too large, and clipping does its work
            self._refuse(trainer, pl_module, optimizer, wrong)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.action == "skip":
            pl_module.log("train/skipped_steps", float(self.skipped))

    def _wrong(self, pl_module: LightningModule) -> str:
        """Return what is not finite, in words; nothing where all is."""
        losses = [f"{loss.item():g}" for loss in self._losses if not loss.isfinite()]
        names = [
            name
            for name, parameter in pl_module.named_parameters()
            if parameter.grad is not None and not parameter.grad.isfinite().all()
        ]
        parts = [f"the loss is {' and '.join(losses)}"] if losses else []
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            parts.append(f"the gradient is not finite in {', '.join(names[:SHOWN])}{more}")
        return "; ".join(parts)

    def _refuse(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer, wrong: str) -> None:
        """End the run, or leave the update out."""
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None and "the loss" not in wrong
        self._in_a_row += 1
        what = f"epoch {trainer.current_epoch}, step {trainer.global_step}: {wrong}; {self._where(trainer)}"
        if (self.action == "stop" and not scaled) or self._in_a_row > self.max_skipped:
            many = f" ({self._in_a_row} updates in a row)" if self._in_a_row > 1 else ""
            hint = "" if self.action == "skip" else "; callbacks.finite.action=skip leaves such updates out"
            raise NotFinite(
                f"{what}. No update was made{many}, and the checkpoints are those of before. Try a smaller "
                f"optimizer.lr or trainer.gradient_clip_val, or trainer.precision=32-true{hint}"
            )
        self.skipped += 1
        if scaled:  # the scaler leaves the update out itself
            return
        rank_zero_warn(f"update left out: {what}")
        optimizer.zero_grad(set_to_none=True)  # optimisers pass over parameters that have no gradient
        if isinstance(pl_module, Task):
            pl_module.take_back(self._before)

    def _where(self, trainer: Trainer) -> str:
        """Return the batches of the update, and where their rows come from."""
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
    """Logs the norm of the gradient before it is clipped, every ``trainer.log_every_n_steps`` steps.

    Args:
        by_layer: log that of each module with parameters of its own as well, ``gradient_norm/<module>`` beside
            ``gradient_norm/total``.
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
        values = dict(zip(norms, torch.stack(list(norms.values())).tolist(), strict=True))  # one wait for all
        for logger in trainer.loggers:
            logger.log_metrics(
                {f"gradient_norm/{name}": value for name, value in values.items()},
                step=trainer.fit_loop.epoch_loop._batches_that_stepped,
            )


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients together, ``()`` on their device; 0 where there are none."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))) if gradients else torch.zeros(())


@contextmanager
def faults_told(task: LightningModule, data: Any) -> Iterator[None]:
    """Say what to change where training ends by a fault of the machine.

    Raises:
        OutOfMemory: instead of what devices, allocators and Python raise where memory is out.
        LoadingFailed: a worker process is gone; torch says so wherever training just is.
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
        raise OutOfMemory(_advice(task, data)) from error


def _lost_worker(task: LightningModule, cause: str) -> str:
    trainer = task.trainer
    epoch, number = trainer.current_epoch, trainer.fit_loop.batch_idx + 1
    loader: Any = trainer.train_dataloader
    rows = loader.origins(epoch, number) if isinstance(loader, ResumableLoader) else []
    return (
        f"a worker process was lost as batch {number} of epoch {epoch}, rows {', '.join(rows)}, was next: "
        f"{cause.strip().splitlines()[0]} Systems kill processes when memory is out; data.num_workers=0 needs none"
    )


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in NO_MEMORY)


def _advice(task: LightningModule, data: Any) -> str:
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
        f"{' or '.join(smaller)} smaller; a smaller data.batch_size with trainer.accumulate_grad_batches=N keeps the "
        "updates as they are; trainer.precision=bf16-mixed halves what is kept for the backward pass"
    )


def _bad_rows(batch: Any) -> Sequence[int]:
    """Return the rows of a batch whose inputs are not finite."""
    inputs = getattr(batch, "inputs", None)
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        return []
    return (~inputs.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
