"""A recurrent network that gives each sequence a class."""

from torch import Tensor

from seqmodels.models.sequence_network import SequenceNetwork


class SequenceClassifier(SequenceNetwork):
    """Recurrent layers, pooled over time, read out as a score for each class; options as for all networks.

    See :class:`~seqmodels.models.SequenceNetwork` for them.
    """

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits ``(batch, classes)`` for ``inputs (batch, time, input)`` or tokens ``(batch, time)``."""
        return self.read_out(self.encode(inputs, lengths))
