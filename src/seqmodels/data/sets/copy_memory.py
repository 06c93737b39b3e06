"""Copying memory: repeat ten symbols after a long delay."""

from dataclasses import dataclass

import torch

from seqmodels.data.labelled.generated_source import GeneratedSource
from seqmodels.data.raw import LabelledSeries

BLANK, GO, SYMBOLS = 0, 9, 8  # the symbols are 1 to 8


@dataclass(kw_only=True)
class CopyMemoryData(GeneratedSource):
    """``time + 20`` steps: 10 random symbols of 8, blanks, 11 go signals; the last 10 targets are the symbols.

    The input is the symbol number (1 to 8), 0 for a blank, 9 for the go signal; the class is 0 at all but the last 10
    steps, following Bai et al. (2018). The memoryless baseline of guessing symbols has a loss of 10 ln 8 / (time + 20)
    and an accuracy of (time + 11.25) / (time + 20): note that most targets are easy.

    Args:
        time: number of blanks between the last symbol and the first answer, at least 1.
        memory: number of symbols to remember.
    """

    name = "copy_memory"
    target_kind = "classification"
    citation = (
        "generated; S. Hochreiter and J. Schmidhuber. Long short-term memory. Neural Computation 9 (8), 1997, in the "
        "form of S. Bai, J. Z. Kolter and V. Koltun. An empirical evaluation of generic convolutional and recurrent "
        "networks for sequence modeling. 2018. https://arxiv.org/abs/1803.01271"
    )

    time: int = 20
    memory: int = 10

    def __post_init__(self) -> None:
        for argument in ("time", "memory"):
            if (value := getattr(self, argument)) < 1:
                raise ValueError(f"{argument} must be at least 1, got {value}")

    def draw(self, split: str, rows: int, generator: torch.Generator) -> LabelledSeries:  # noqa: ARG002
        """Draw symbols; return inputs ``(rows, time + 2 memory, 1)`` and a class per step."""
        answers = self.memory + self.time  # first answer step
        symbols = torch.randint(1, 1 + SYMBOLS, (rows, self.memory), generator=generator)
        inputs = torch.full((rows, answers + self.memory), BLANK)
        targets = torch.full_like(inputs, BLANK)
        inputs[:, : self.memory] = symbols
        inputs[:, answers - 1 :] = GO
        targets[:, answers:] = symbols
        names = ("blank", *map(str, range(1, 1 + SYMBOLS)))
        return LabelledSeries(list(inputs.float().unsqueeze(-1)), list(targets), names)
