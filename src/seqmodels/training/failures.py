"""What to change when training fails: without memory, a worker process, or the metric that early stopping needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch.utils.data._utils import signal_handling

from seqmodels.data.loaders import ResumableLoader
from seqmodels.errors import ConfigError, LoadingFailed, OutOfMemory, RunFailed, nearest

NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


@contextmanager
def explain_failures(task: LightningModule, data: Any) -> Iterator[None]:
    """Replace errors of the machine and of Lightning during training by errors that say what to change.

    Raises:
        ConfigError: early stopping monitors a metric that is not logged.
        OutOfMemory: in place of the various out-of-memory errors of devices, allocators and Python.
        LoadingFailed: a worker process died; torch raises this at an arbitrary point of training.
    """
    # torch sets its handler of dead workers once in a process, and Lightning restores after training the one before it:
    # set now, it is there in the next training, too
    signal_handling._set_SIGCHLD_handler()
    try:
        yield
    except RunFailed:
        raise
    except (RuntimeError, MemoryError) as error:
        if str(error).startswith("DataLoader worker"):
            raise LoadingFailed(_lost_worker(task, str(error))) from error
        if str(error).startswith("Early stopping conditioned on metric"):
            raise _not_logged(task.trainer) from error
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemory(_memory_advice(task, data)) from error


def _not_logged(trainer: Trainer) -> ConfigError:
    names = sorted(trainer.callback_metrics)
    callbacks = [callback for callback in trainer.early_stopping_callbacks if isinstance(callback, EarlyStopping)]
    monitor = next(str(callback.monitor) for callback in callbacks if callback.monitor not in names)
    hint = nearest(monitor, names)
    return ConfigError(f"early stopping monitors {monitor!r}, which is not logged{hint} (logged: {names})")


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
