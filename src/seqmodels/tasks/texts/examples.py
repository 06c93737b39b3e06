"""The outputs that are shown as examples, and the outputs of all processes."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from torch.distributed import all_gather_object

from seqmodels.tasks.examples import SHOWN
from seqmodels.tasks.texts.metrics import Output


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
