"""Parity of a sequence of bits: the class depends on every step."""

from dataclasses import dataclass

import torch

from seqmodels.data.labelled.generated_source import GeneratedSource
from seqmodels.data.raw import LabelledSeries


@dataclass(kw_only=True)
class ParityData(GeneratedSource):
    """One random bit per step; the class is 1 if the number of ones is odd.

    Lengths are uniform from ``min_length`` to ``max_length``; the test split may use others, to see whether a network
    learned the rule or the length. Short sequences repeat, even across splits, because there are only a few.

    Args:
        min_length, max_length: length range of training and validation sequences.
        test_min_length, test_max_length: length range of test sequences; the same by default.
    """

    name = "parity"
    target_kind = "classification"
    citation = "generated; after M. Minsky and S. Papert. Perceptrons. MIT Press, 1969"

    min_length: int = 1
    max_length: int = 20
    test_min_length: int | None = None
    test_max_length: int | None = None
    train_rows: int = 8000

    def __post_init__(self) -> None:
        for prefix, split in (("", "train"), ("test_", "test")):
            shortest, longest = self._lengths(split)
            if not 1 <= shortest <= longest:
                raise ValueError(f"{prefix}min_length must be 1 to {prefix}max_length={longest}, got {shortest}")

    def draw(self, split: str, rows: int, generator: torch.Generator) -> LabelledSeries:
        """Draw bits ``(rows, time, 1)`` of random lengths, and their parities."""
        shortest, longest = self._lengths(split)
        lengths = torch.randint(shortest, longest + 1, (rows,), generator=generator)
        bits = torch.randint(2, (rows, longest), generator=generator)
        bits = bits.masked_fill(torch.arange(longest) >= lengths[:, None], 0)
        return LabelledSeries(bits.float().unsqueeze(-1), bits.sum(1) % 2, ("even", "odd"), lengths)

    def _lengths(self, split: str) -> tuple[int, int]:
        """Return the minimum and maximum length in a split."""
        shortest, longest = (self.test_min_length, self.test_max_length) if split == "test" else (None, None)
        return self.min_length if shortest is None else shortest, self.max_length if longest is None else longest
