"""Networks with one output for a whole sequence, or one for each of its steps."""

from abc import ABC
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from seqmodels.layers import (
    ConcatInput,
    Convolution,
    ConvolutionStack,
    EveryStep,
    LockedDropout,
    SequenceLayer,
    recurrent_stack,
)
from seqmodels.layers.stack import CellFactory
from seqmodels.models.pooling import Pooling, last
from seqmodels.models.token_scores import wrong_token

Initializer = Callable[[nn.Module], nn.Module]
Front = Callable[[int], Convolution | ConvolutionStack]
Top = Callable[[int], SequenceLayer[Any]]


class SequenceNetwork(nn.Module, ABC):
    """An embedding where inputs are tokens, recurrent layers, pooling over time, and a linear read-out.

    Optionally a convolution below the recurrent layers, and a layer of another kind, such as self-attention, above
    them.

    Args:
        cell: makes a cell from an input size, as ``partial(LSTMCell, hidden_size=128)`` does; or a sequence of such
            factories, one for each layer.
        output_size: size of the output.
        input_size: features of a step, where inputs are numbers.
        vocab_size: number of tokens, where inputs are tokens.
        embedding_size: features of an embedded token.
        dropout_embedding: probability that the embedding of a step is zeroed.
        dropout_input: probability that a feature of the input, or of the embedding, is zeroed at all steps.
        front: makes one or more convolutions from an input size, as ``partial(Convolution, channels=64)`` does.
        hidden_sizes: one hidden size for each layer, from the input upwards, instead of one in ``cell``.
        depth: number of layers; by default that of ``hidden_sizes``, else 1.
        bidirectional: give every layer a second cell that reads backwards.
        dropout: probability that a feature between layers is zeroed at all steps.
        dropout_output: probability that a feature of the input of the read-out is zeroed.
        residual: as in :class:`~seqmodels.layers.Stack`.
        concat_input: what lies above the recurrent layers also sees their input; with it a network whose recurrent
            layers are of little use can still learn what a pooled embedding or convolution tells.
        top: makes a layer from the output size of the recurrent layers, as ``partial(SelfAttention, heads=4)`` does.
        pooling: reduces the steps of the top layer to one vector; see :mod:`seqmodels.models.pooling`.
        initializer: called with the finished network to set its parameters; each layer's own initialiser by default.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Raises:
        ValueError: both or neither of ``input_size`` and ``vocab_size`` are given, or options do not fit each other.

    Example:
        >>> from seqmodels.models import SequenceClassifier
        >>> issubclass(SequenceClassifier, SequenceNetwork)
        True
    """

    def __init__(
        self,
        cell: CellFactory | Sequence[CellFactory],
        *,
        output_size: int,
        input_size: int | None = None,
        vocab_size: int | None = None,
        embedding_size: int = 128,
        dropout_embedding: float = 0.0,
        dropout_input: float = 0.0,
        front: Front | None = None,
        hidden_sizes: Sequence[int] | None = None,
        depth: int | None = None,
        bidirectional: bool = False,
        dropout: float = 0.0,
        dropout_output: float = 0.0,
        residual: bool = False,
        concat_input: bool = False,
        top: Top | None = None,
        pooling: Pooling = last,
        initializer: Initializer | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if (input_size is None) == (vocab_size is None):
            raise ValueError(f"give input_size or vocab_size, not both; got {input_size} and {vocab_size}")
        self.embedding = None if vocab_size is None else nn.Embedding(vocab_size, embedding_size)
        if self.embedding is not None:  # torch's N(0, 1) would leave rare tokens large and never learnt
            nn.init.normal_(self.embedding.weight, std=0.1)
        self.dropout_embedding = nn.Dropout1d(dropout_embedding)
        self.dropout_input = LockedDropout(dropout_input)
        size = embedding_size if input_size is None else input_size
        self.front = None if front is None else front(size)
        recurrent = recurrent_stack(
            cell,
            size if self.front is None else self.front.output_size,
            hidden_sizes=hidden_sizes,
            depth=depth,
            bidirectional=bidirectional,
            dropout=dropout,
            residual=residual,
            backend=backend,
        )
        self.recurrent: SequenceLayer[Any] = ConcatInput(recurrent) if concat_input else recurrent
        self.top = None if top is None else top(self.recurrent.output_size)
        highest = self.recurrent if self.top is None else self.top
        self.pooling = pooling(highest)
        if self.front is not None and self.front.shortens and isinstance(self.pooling, EveryStep):
            raise ValueError("front must leave all steps where each has an output, got a stride or pool above 1")
        self.dropout_output = nn.Dropout(dropout_output)
        self.read_out = nn.Linear(getattr(self.pooling, "output_size", highest.output_size), output_size)
        if initializer is not None:
            initializer(self)

    def encode(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map inputs to the features that the read-out reads.

        Args:
            inputs: ``(batch, time, input)``, or tokens ``(batch, time)``.
            lengths: number of real steps of each sequence, ``(batch,)``; all steps by default.

        Returns:
            Features ``(batch, features)``; ``(batch, time, features)`` if pooled by ``every_step``.

        Raises:
            TypeError: ``inputs`` is not a tensor.
            ValueError: the network reads tokens and got numbers, or the reverse, or a token is outside the vocabulary.
        """
        if not isinstance(inputs, Tensor):
            raise TypeError(f"inputs must be a tensor, got {type(inputs).__name__}")
        if inputs.is_floating_point() == (self.embedding is not None):
            wanted = "tokens (batch, time)" if self.embedding is not None else "numbers (batch, time, input)"
            raise ValueError(f"the network reads {wanted}, got {inputs.dtype} {tuple(inputs.shape)}")
        x = inputs if self.embedding is None else self.dropout_embedding(self._embedded(inputs))
        x = self.dropout_input(x)
        if self.front is not None:
            x, lengths = self.front(x, lengths)
        y, _ = self.recurrent(x, lengths=lengths)
        if self.top is not None:
            y, _ = self.top(y, lengths=lengths)
        features: Tensor = self.dropout_output(self.pooling(y, lengths))
        return features

    def _embedded(self, tokens: Tensor) -> Tensor:
        assert self.embedding is not None
        if tokens.dim() != 2:
            raise ValueError(f"tokens must have shape (batch, time), got {tuple(tokens.shape)}")
        try:
            x: Tensor = self.embedding(tokens)
        except IndexError as error:
            raise wrong_token(tokens, self.embedding.num_embeddings) from error
        return x

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return outputs ``(batch, output)``, or ``(batch, time, output)`` if pooled by ``every_step``.

        Arguments and errors are those of :meth:`encode`.
        """
        output: Tensor = self.read_out(self.encode(inputs, lengths))
        return output


class SequenceClassifier(SequenceNetwork):
    """A network whose outputs are logits ``(batch, classes)``; see :class:`SequenceNetwork` for the options.

    Example:
        >>> from functools import partial
        >>> from seqmodels.cells import LSTMCell
        >>> model = SequenceClassifier(partial(LSTMCell, hidden_size=5), input_size=4, output_size=3)
        >>> model(torch.zeros(2, 7, 4), lengths=torch.tensor([7, 2])).shape
        torch.Size([2, 3])
    """


class SequenceRegressor(SequenceNetwork):
    """A network whose outputs are values ``(batch, output)``; see :class:`SequenceNetwork` for the options.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> model = SequenceRegressor(GRUCell, input_size=4, output_size=1, hidden_sizes=[5, 6])
        >>> model(torch.zeros(2, 7, 4)).shape
        torch.Size([2, 1])
    """
