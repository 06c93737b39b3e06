"""Train, test, resume and use models: the layer between a configuration and Lightning."""

from typing import TYPE_CHECKING

from seqmodels.system.names import lazy

if TYPE_CHECKING:
    from seqmodels.training import callbacks as callbacks
    from seqmodels.training.checkpointing import load_model as load_model
    from seqmodels.training.checkpointing import load_task as load_task
    from seqmodels.training.checkpointing import save_model as save_model
    from seqmodels.training.fit import evaluate as evaluate
    from seqmodels.training.fit import train as train
    from seqmodels.training.processes import ddp as ddp
    from seqmodels.training.schedules import warmup_cosine as warmup_cosine

__all__ = [
    "callbacks",
    "ddp",
    "evaluate",
    "load_model",
    "load_task",
    "save_model",
    "train",
    "warmup_cosine",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "callbacks": "seqmodels.training.callbacks",
        "ddp": "seqmodels.training.processes",
        "evaluate": "seqmodels.training.fit",
        "load_model": "seqmodels.training.checkpointing",
        "load_task": "seqmodels.training.checkpointing",
        "save_model": "seqmodels.training.checkpointing",
        "train": "seqmodels.training.fit",
        "warmup_cosine": "seqmodels.training.schedules",
    },
)
