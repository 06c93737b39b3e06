"""A network without recurrence, as a baseline."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.sequence import length_mask


class DenseClassifier(nn.Module):
    """Dense layers with ReLU over all steps of a sequence at once: a baseline for recurrent networks.

    With ``hidden_sizes=(128, 64)`` on MNIST by rows it has the 109386 parameters of a widely copied code sample that is
    presented as a recurrent network and is not one. Sequences shorter than ``time`` are padded with zeros.

    Args:
        input_size: features of a step.
        output_size: number of classes.
        time: the most steps that a sequence has.
        hidden_sizes: sizes of the hidden layers.

    Example:
        >>> DenseClassifier(input_size=4, output_size=3, time=7)(torch.zeros(2, 5, 4)).shape
        torch.Size([2, 3])
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
            ValueError: ``inputs`` has the wrong shape, or more steps than ``time``.
        """
        if inputs.dim() != 3 or inputs.shape[1] > self.time or inputs.shape[2] != self.input_size:
            raise ValueError(
                f"inputs must have shape (batch, at most {self.time}, {self.input_size}), got {tuple(inputs.shape)}"
            )
        if lengths is not None:
            real = length_mask(lengths.to(inputs.device), inputs.shape[1])
            inputs = inputs.masked_fill(~real.unsqueeze(-1), 0)
        logits: Tensor = self.layers(F.pad(inputs, (0, 0, 0, self.time - inputs.shape[1])).flatten(1))
        return logits
