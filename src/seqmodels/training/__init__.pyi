"""The public names of the package and where they are defined; ``__init__.py`` imports each when it is first used."""

from seqmodels.training import callbacks as callbacks
from seqmodels.training.checkpointing import load_task as load_task
from seqmodels.training.evaluation import evaluate as evaluate
from seqmodels.training.fit import train as train
from seqmodels.training.model_folder import load_model as load_model
from seqmodels.training.model_folder import save_model as save_model
from seqmodels.training.processes import ddp as ddp
from seqmodels.training.schedules import cosine as cosine
from seqmodels.training.schedules import warmup_cosine as warmup_cosine

__all__: list[str]
