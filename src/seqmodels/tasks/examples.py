"""Examples of what a model makes of validation rows, printed and given to the loggers."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

SHOWN = 3
"""Number of rows to show at each validation."""

log = logging.getLogger("seqmodels")


class Shown(NamedTuple):
    """What a model read, what would be right, and what it wrote."""

    input: str
    reference: str
    output: str


def show_examples(examples: Sequence[Shown], stage: str, loggers: Sequence[Any], step: int) -> None:
    """Print examples, and add them as text to those loggers that hold texts, such as TensorBoard's.

    Args:
        examples: the examples.
        stage: ``val`` or ``test``.
        loggers: those of the trainer.
        step: number of optimiser steps so far.
    """
    texts = []
    for number, (read, reference, written) in enumerate(examples, start=1):
        texts.append(f"input:     {read}\nreference: {reference}\noutput:    {written}")
        log.info("%s example %d\n%s", stage, number, texts[-1])
    for logger in loggers:
        if hasattr(logger.experiment, "add_text"):  # TensorBoard, which reads Markdown
            verbatim = "\n\n".join(f"```\n{text}\n```" for text in texts)
            logger.experiment.add_text(f"{stage}/examples", verbatim, step)
