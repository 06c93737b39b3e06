"""The body that networks share which answer once for a sequence, or at each of its steps."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from seqmodels.layers import Convolution, EveryStep, LockedDropout, SequenceLayer, recurrent_stack
from seqmodels.layers.stack import CellFactory
from seqmodels.models.pooling import Pooling, last
from seqmodels.models.tokens import wrong_token

Initializer = Callable[[nn.Module], nn.Module]
Front = Callable[[int], Convolution]
Top = Callable[[int], SequenceLayer]


class SequenceNetwork(nn.Module, ABC):
    """An embedding where inputs are tokens, recurrent layers, pooling over time, and a linear read-out.

    A convolution may stand below the recurrent layers, and a layer of another kind above them, such as self-attention.

    Args:
        cell: makes a cell from an input size, as ``partial(LSTMCell, hidden_size=128)`` does; or one for each layer.
        input_size: features of a step; or
        vocab_size: number of tokens, where a step is one of them.
        output_size: what a sequence is mapped to.
        embedding_size: features that a token is mapped to.
        dropout_embedding: probability of dropping a token, wherever it stands in a sequence; it is read as zeros.
        dropout_input: of dropping a feature of the input, or of the embedded one, for all steps of a sequence alike.
        front: makes a convolution from an input size, as ``partial(Convolution, channels=64)`` does.
        hidden_sizes: one hidden size for each layer, from the input upwards; ``cell`` then leaves it open.
        depth: number of layers, where ``hidden_sizes`` does not say it; 1 by default.
        bidirectional: read every layer's input backwards, too.
        dropout: probability of dropping a feature between layers, for all steps of a sequence alike.
        dropout_output: of dropping a feature of what the read-out reads.
        residual: add what a layer reads to what it puts out.
        top: makes a layer from the recurrent ones' output size, as ``partial(SelfAttention, heads=4)`` does.
        pooling: from the top layer's steps to one vector, see :mod:`seqmodels.models.pooling`.
        initializer: called with the finished network to draw its weights; each part's own way where not given.
        backend: as in :func:`~seqmodels.backends.unrolling`.
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
        self.recurrent = recurrent_stack(
            cell,
            size if self.front is None else self.front.output_size,
            hidden_sizes=hidden_sizes,
            depth=depth,
            bidirectional=bidirectional,
            dropout=dropout,
            residual=residual,
            backend=backend,
        )
        self.top = None if top is None else top(self.recurrent.output_size)
        highest = self.recurrent if self.top is None else self.top
        self.pooling = pooling(highest)
        if self.front is not None and self.front.shortens and isinstance(self.pooling, EveryStep):
            raise ValueError("front must leave all steps where each is answered for, got a stride or pool above 1")
        self.dropout_output = nn.Dropout(dropout_output)
        self.read_out = nn.Linear(highest.output_size, output_size)
        if initializer is not None:
            initializer(self)

    def encode(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map ``inputs (batch, time, input)``, or tokens ``(batch, time)``, to ``(batch, features)``.

        Raises:
            TypeError: inputs are no tensor.
            ValueError: inputs are numbers where the network reads tokens, or tokens where it reads numbers, or a token
                is outside the vocabulary.
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
        return self.dropout_output(self.pooling(y, lengths))

    def _embedded(self, tokens: Tensor) -> Tensor:
        assert self.embedding is not None
        if tokens.dim() != 2:
            raise ValueError(f"tokens must have shape (batch, time), got {tuple(tokens.shape)}")
        try:
            x: Tensor = self.embedding(tokens)
        except IndexError as error:
            raise wrong_token(tokens, self.embedding.num_embeddings) from error
        return x

    @abstractmethod
    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map ``inputs (batch, time, input)``, or tokens ``(batch, time)``, to ``(batch, output)``.

        Pooled by ``every_step`` it is ``(batch, time, output)``. All steps are real where no lengths are given.
        """
