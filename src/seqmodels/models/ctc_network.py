"""Networks with tokens for stretches of the input whose places are not known, for CTC."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.layers import LockedDropout, SequenceLayer, recurrent_stack
from seqmodels.layers.stack import CellFactory
from seqmodels.models.sequence_network import Front, Initializer


class CTCNetwork(nn.Module):
    """Optional convolutions that shorten the input, recurrent layers, and scores of every token at each step.

    Args:
        cell: makes a cell from an input size, or a sequence of such factories, one for each layer.
        input_size: features of a step.
        output_size: number of tokens, with the blank.
        front: makes one or more convolutions from an input size, as ``partial(Convolution, stride=2)`` does; with a
            stride or pool above 1 there are fewer steps to read out and to align.
        dropout_input: probability that a feature of the input is zeroed at all steps.
        hidden_sizes: one hidden size for each layer, from the input upwards, instead of one in ``cell``.
        depth: number of layers; by default that of ``hidden_sizes``, else 1.
        bidirectional: give every layer a second cell that reads backwards.
        dropout: probability that a feature between layers is zeroed at all steps.
        dropout_output: probability that a feature of the input of the read-out is zeroed.
        residual: as in :class:`~seqmodels.layers.Stack`.
        initializer: called with the finished network to set its parameters; each layer's own initialiser by default.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Raises:
        ValueError: ``output_size`` has no token beside the blank, or options do not fit each other.

    Example:
        >>> from functools import partial
        >>> from seqmodels.cells import GRUCell
        >>> from seqmodels.layers import Convolution
        >>> halved = partial(Convolution, stride=2)
        >>> model = CTCNetwork(GRUCell, input_size=4, output_size=3, hidden_sizes=[5], front=halved)
        >>> logits, lengths = model(torch.zeros(2, 7, 4), torch.tensor([7, 2]))
        >>> logits.shape, lengths
        (torch.Size([2, 4, 3]), tensor([4, 1]))
    """

    def __init__(
        self,
        cell: CellFactory | Sequence[CellFactory],
        *,
        input_size: int,
        output_size: int,
        front: Front | None = None,
        dropout_input: float = 0.0,
        hidden_sizes: Sequence[int] | None = None,
        depth: int | None = None,
        bidirectional: bool = True,
        dropout: float = 0.0,
        dropout_output: float = 0.0,
        residual: bool = False,
        initializer: Initializer | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if output_size < 2:
            raise ValueError(f"output_size must be at least 2, a blank and a token, got {output_size}")
        self.dropout_input = LockedDropout(dropout_input)
        self.front = None if front is None else front(input_size)
        self.recurrent: SequenceLayer[Any] = recurrent_stack(
            cell,
            input_size if self.front is None else self.front.output_size,
            hidden_sizes=hidden_sizes,
            depth=depth,
            bidirectional=bidirectional,
            dropout=dropout,
            residual=residual,
            backend=backend,
        )
        self.dropout_output = nn.Dropout(dropout_output)
        self.read_out = nn.Linear(self.recurrent.output_size, output_size)
        if initializer is not None:
            initializer(self)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of steps that are read out for inputs of these lengths."""
        return lengths if self.front is None else self.front.output_lengths(lengths)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits and the number of steps that have some.

        Args:
            inputs: ``(batch, time, input)``.
            lengths: number of real steps of each sequence, ``(batch,)``; all steps by default.

        Returns:
            Logits ``(batch, shorter time, output)``, and lengths ``(batch,)`` of them.

        Raises:
            TypeError: ``inputs`` is not a tensor.
            ValueError: ``inputs`` are not sequences of ``input_size`` features.
        """
        if not isinstance(inputs, Tensor):
            raise TypeError(f"inputs must be a tensor, got {type(inputs).__name__}")
        if lengths is None and inputs.dim() == 3:
            lengths = torch.full((len(inputs),), inputs.shape[1])
        x = self.dropout_input(inputs)
        if self.front is not None:
            x, lengths = self.front(x, lengths)
        y, _ = self.recurrent(x, lengths=lengths)
        assert lengths is not None
        logits: Tensor = self.read_out(self.dropout_output(y))
        return logits, lengths
