"""Silence the messages of Lightning that say nothing about a run."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NOISE = (
    r".*isinstance\(treespec, LeafSpec\).*",  # a deprecation between torch and Lightning
    r".*does not have many workers.*",  # data in memory are fastest without worker processes
    r".*smaller than the logging interval.*",
    r"(?s).*Experiment logs directory .* exists and is not empty.*",  # the run folder holds more than the log
    r".*The dirpath has changed.*",  # a run that starts from the checkpoint of another
    r".*Checkpoint directory .* exists and is not empty.*",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Show only warnings of Lightning, except those listed in :data:`NOISE`."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers.clear()  # else every line is logged twice, by its own handler and by the root logger's
        logger.propagate = True
    with warnings.catch_warnings():
        for message in NOISE:
            warnings.filterwarnings("ignore", message=message)
        yield
