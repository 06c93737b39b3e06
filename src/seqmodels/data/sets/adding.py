"""The adding problem: remember two marked numbers among many unmarked ones."""

from dataclasses import dataclass

import torch

from seqmodels.data.labelled.generated_source import GeneratedSource
from seqmodels.data.raw import LabelledSeries


@dataclass(kw_only=True)
class AddingData(GeneratedSource):
    """Each step is a number in [0, 1] and a marker; the target is the sum of the two marked numbers.

    One marker is uniform in the first half of the steps, the other in the second (Le et al., 2015). Always predicting 1
    has a mean squared error of 1/6.

    Args:
        time: sequence length, at least 2.
    """

    name = "adding"
    target_kind = "regression"
    citation = (
        "generated; S. Hochreiter and J. Schmidhuber. Long short-term memory. Neural Computation 9 (8), 1997, in the "
        "form of Q. V. Le, N. Jaitly and G. E. Hinton. A simple way to initialize recurrent networks of rectified "
        "linear units. 2015. https://arxiv.org/abs/1504.00941"
    )

    time: int = 50

    def __post_init__(self) -> None:
        if self.time < 2:
            raise ValueError(f"time must be at least 2, a step for each marker, got {self.time}")

    def draw(self, split: str, rows: int, generator: torch.Generator) -> LabelledSeries:  # noqa: ARG002
        """Generate numbers and markers ``(rows, time, 2)``, and the sums ``(rows, 1)`` of the marked numbers."""
        numbers = torch.rand(rows, self.time, generator=generator)
        markers = torch.zeros(rows, self.time)
        half = self.time // 2
        for first, end in ((0, half), (half, self.time)):
            markers.scatter_(1, torch.randint(first, end, (rows, 1), generator=generator), 1.0)
        return LabelledSeries(torch.stack((numbers, markers), dim=-1), (numbers * markers).sum(1, keepdim=True))
