"""What to change when training fails for lack of memory or loses a worker process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule

from seqmodels.data.loaders import ResumableLoader
from seqmodels.errors import LoadingFailed, OutOfMemory, RunFailed

NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


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
