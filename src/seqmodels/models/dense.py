"""A network without recurrence, to compare with."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.sequence import length_mask


class DenseClassifier(nn.Module):
    """Dense layers with ReLU on all steps of a sequence at once; what a recurrent network has to beat.

    With ``hidden_sizes=(128, 64)`` on MNIST by rows these are the 109386 parameters of a code sample that goes round
    as a recurrent network and is none. Sequences shorter than ``time`` are filled up with zeros.
    """

    def __init__(
        self, *, input_size: int, output_size: int, time: int, hidden_sizes: Sequence[int] = (128, 64)
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.time = time
        sizes = (time * input_size, *hidden_sizes)
        layers = [layer for below, size in pairwise(sizes) for layer in (nn.Linear(below, size), nn.ReLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], output_size))

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits ``(batch, classes)`` for ``inputs (batch, time, input)``.

        Raises:
            ValueError: ``inputs`` has another shape, or more steps than the network reads.
        """
        if inputs.dim() != 3 or inputs.shape[1] > self.time or inputs.shape[2] != self.input_size:
            raise ValueError(
                f"inputs must have shape (batch, at most {self.time}, {self.input_size}), got {tuple(inputs.shape)}"
            )
        if lengths is not None:
            real = length_mask(lengths.to(inputs.device), inputs.shape[1])
            inputs = inputs.masked_fill(~real.unsqueeze(-1), 0)
        return self.layers(F.pad(inputs, (0, 0, 0, self.time - inputs.shape[1])).flatten(1))
