"""Examples of outputs, as logged at each validation."""

import logging
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from torch.distributed import all_gather_object

from seqmodels.tasks.texts.metrics import Output

log = logging.getLogger("seqmodels")

SHOWN = 3


def chosen_examples(outputs: Sequence[Output]) -> list[Output]:
    """Return three outputs, picked by their sources alone: the same ones at each validation.

    Example:
        >>> [example.source for example in chosen_examples([Output("a", (), ""), Output("b", (), "")])]
        ['b', 'a']
    """
    return sorted(outputs, key=lambda output: (crc32(output.source.encode()), output.source))[:SHOWN]


def gathered(outputs: list[Output], processes: int) -> list[Output]:
    """Return the outputs of all processes."""
    if processes == 1:
        return outputs
    everyone: list[Any] = [None] * processes
    all_gather_object(everyone, outputs)
    return [output for part in everyone for output in part]


def show(outputs: Sequence[Output], stage: str, loggers: Sequence[Any], step: int) -> None:
    """Log examples: what was read, a reference, what was written; as text to loggers that take some."""
    chosen = chosen_examples(outputs)
    for number, (source, references, output) in enumerate(chosen, start=1):
        log.info(
            "%s example %d\n  input:     %s\n  reference: %s\n  output:    %s",
            stage,
            number,
            source,
            references[0],
            output,
        )
    for logger in loggers:
        if hasattr(logger.experiment, "add_text"):  # TensorBoard
            lines = [f"{source}\n\n{references[0]}\n\n{output}" for source, references, output in chosen]
            logger.experiment.add_text(f"{stage}/examples", "\n\n---\n\n".join(lines), step)
