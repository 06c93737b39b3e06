"""The body that networks with one answer for a whole sequence share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from seqmodels.layers import recurrent_stack
from seqmodels.layers.stack import CellFactory
from seqmodels.models.pooling import Pooling, last

Initializer = Callable[[nn.Module], nn.Module]


class SequenceNetwork(nn.Module, ABC):
    """Recurrent layers, pooling over time, and a linear read-out.

    Args:
        cell: makes a cell from an input size, as ``partial(LSTMCell, hidden_size=128)`` does; or one for each layer.
        input_size: features of a step.
        output_size: what a sequence is mapped to.
        hidden_sizes: one hidden size for each layer, from the input upwards; ``cell`` then leaves it open.
        depth: number of layers, where ``hidden_sizes`` does not say it; 1 by default.
        bidirectional: read every layer's input backwards, too.
        dropout: probability of dropping a feature between layers, for all steps of a sequence alike.
        residual: add what a layer reads to what it puts out.
        pooling: from the top layer's steps to one vector, see :mod:`seqmodels.models.pooling`.
        initializer: called with the finished network to draw its weights; each part's own way where not given.
        backend: as in :func:`~seqmodels.unroll.unroll`.
    """

    def __init__(
        self,
        cell: CellFactory | Sequence[CellFactory],
        *,
        input_size: int,
        output_size: int,
        hidden_sizes: Sequence[int] | None = None,
        depth: int | None = None,
        bidirectional: bool = False,
        dropout: float = 0.0,
        residual: bool = False,
        pooling: Pooling = last,
        initializer: Initializer | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.recurrent = recurrent_stack(
            cell,
            input_size,
            hidden_sizes=hidden_sizes,
            depth=depth,
            bidirectional=bidirectional,
            dropout=dropout,
            residual=residual,
            backend=backend,
        )
        self.pooling = pooling(self.recurrent)
        self.read_out = nn.Linear(self.recurrent.output_size, output_size)
        if initializer is not None:
            initializer(self)

    def encode(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map ``inputs (batch, time, input)`` to one vector for each sequence, ``(batch, features)``."""
        y, _ = self.recurrent(inputs, lengths=lengths)
        return self.pooling(y, lengths)

    @abstractmethod
    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map ``inputs (batch, time, input)`` to ``(batch, output)``; all steps are real where no lengths are given."""
