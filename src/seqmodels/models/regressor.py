"""A recurrent network that gives each sequence numbers."""

from torch import Tensor

from seqmodels.models.sequence_network import SequenceNetwork


class SequenceRegressor(SequenceNetwork):
    """Recurrent layers, pooled over time, read out as numbers; options as for all networks.

    See :class:`~seqmodels.models.SequenceNetwork` for them.
    """

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return values ``(batch, output)`` for ``inputs (batch, time, input)`` or tokens ``(batch, time)``."""
        return self.read_out(self.encode(inputs, lengths))
