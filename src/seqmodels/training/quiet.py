"""Lightning without its small talk: what a run says is what a user needs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NOISE = (
    r".*isinstance\(treespec, LeafSpec\).*",  # torch and Lightning among themselves
    r".*does not have many workers.*",  # data in memory are fastest without worker processes
    r".*smaller than the logging interval.*",
    r"(?s).*Experiment logs directory .* exists and is not empty.*",  # the folder of the run holds more than the log
    r".*The dirpath has changed.*",  # of a run that goes on from another's checkpoint
    r".*Checkpoint directory .* exists and is not empty.*",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning to its warnings, less those that say nothing about the run."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers.clear()  # else every line comes twice: from its own handler and from the root's
        logger.propagate = True
    with warnings.catch_warnings():
        for message in NOISE:
            warnings.filterwarnings("ignore", message=message)
        yield
