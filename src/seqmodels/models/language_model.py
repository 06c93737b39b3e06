"""A recurrent network that predicts the next token."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.layers import LockedDropout, Recurrent, recurrent_stack
from seqmodels.layers.stack import CellFactory
from seqmodels.models.token_scores import token_scores, wrong_token
from seqmodels.sequence import map_leaves


class Read(NamedTuple):
    """Outputs of the recurrent layers for a batch of texts."""

    outputs: Tensor  # (batch, time, output) of the top layer
    features: Tensor  # (batch, time, output) the same after dropout: the input of the output layer
    state: Any  # of every layer after each row's last step


class LanguageModel(nn.Module):
    """An embedding, recurrent layers of any cell, and at every step a logit for each token of the vocabulary.

    With its four kinds of dropout and ``regularizers=weight_drop`` this is the network of AWD-LSTM (Merity, Keskar and
    Socher, 2018, arXiv 1708.02182).

    Args:
        cell: makes a cell from an input size, as ``partial(LSTMCell, hidden_size=128)`` does; or a sequence of such
            factories, one for each layer.
        vocab_size: number of tokens.
        embedding_size: features of an embedded token.
        hidden_sizes: one hidden size for each layer, from the input upwards, instead of one in ``cell``.
        depth: number of layers; by default that of ``hidden_sizes``, else 1.
        dropout_embedding: probability that a token of the vocabulary is zeroed everywhere in a batch.
        dropout_input: probability that a feature of the embeddings is zeroed at all steps of a row.
        dropout: the same between layers.
        dropout_output: the same above the top layer.
        residual: as in :class:`~seqmodels.layers.Stack`.
        tie_weights: compute logits with the weight of the embedding.
        adaptive_cutoffs: compute logits of rare tokens in clusters; see :mod:`seqmodels.models.token_scores` for both.
        initializer: called with the finished network to set its parameters; each layer's own initialiser by default.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Raises:
        ValueError: an option is outside its range, or options do not fit each other.

    Example:
        >>> from functools import partial
        >>> from seqmodels.cells import LSTMCell
        >>> model = LanguageModel(partial(LSTMCell, hidden_size=5), vocab_size=9, embedding_size=4)
        >>> logits, state = model(torch.tensor([[1, 2, 3], [4, 5, 6]]))
        >>> logits.shape
        torch.Size([2, 3, 9])
    """

    def __init__(
        self,
        cell: CellFactory | Sequence[CellFactory],
        *,
        vocab_size: int,
        embedding_size: int = 128,
        hidden_sizes: Sequence[int] | None = None,
        depth: int | None = None,
        dropout_embedding: float = 0.0,
        dropout_input: float = 0.0,
        dropout: float = 0.0,
        dropout_output: float = 0.0,
        residual: bool = False,
        tie_weights: bool = False,
        adaptive_cutoffs: Sequence[int] | None = None,
        initializer: Callable[[nn.Module], nn.Module] | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if not 0 <= dropout_embedding < 1:
            raise ValueError(f"dropout_embedding must be a probability in [0, 1), got {dropout_embedding}")
        self.vocab_size = vocab_size
        self.dropout_embedding = dropout_embedding
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.dropout_input = LockedDropout(dropout_input)
        self.recurrent = recurrent_stack(
            cell,
            embedding_size,
            hidden_sizes=hidden_sizes,
            depth=depth,
            dropout=dropout,
            residual=residual,
            backend=backend,
        )
        self.dropout_output = LockedDropout(dropout_output)
        self.scores = token_scores(
            self.recurrent.output_size, vocab_size, embedding_size, tied=tie_weights, cutoffs=adaptive_cutoffs
        )
        if tie_weights:  # with N(0, 1) as the output weight the loss would start at many times ln(vocab)
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        if initializer is not None:
            initializer(self)

    def read(
        self, tokens: Tensor, state: Any = None, lengths: Tensor | None = None, *, resets: Tensor | None = None
    ) -> Read:
        """Run the recurrent layers over ``tokens (batch, time)``, starting from ``state``.

        Args:
            tokens, state, lengths, resets: as in :meth:`forward`.

        Raises:
            TypeError: ``tokens`` is not a tensor.
            ValueError: ``tokens`` are not integers of two dimensions, or one is outside the vocabulary, which only the
                CPU tells in time: on a GPU, PyTorch ends the process.
        """
        if not isinstance(tokens, Tensor):
            raise TypeError(f"tokens must be a tensor, got {type(tokens).__name__}")
        if tokens.dim() != 2 or tokens.is_floating_point():
            raise ValueError(f"tokens must be whole numbers (batch, time), got {tokens.dtype} {tuple(tokens.shape)}")
        x = self.dropout_input(self._embed(tokens))
        outputs, state = self.recurrent(x, state, lengths, resets=resets)
        return Read(outputs, self.dropout_output(outputs), state)

    def forward(
        self, tokens: Tensor, state: Any = None, lengths: Tensor | None = None, *, resets: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Predict the token after each of ``tokens``.

        Args:
            tokens: ``(batch, time)``.
            state: as the last call returned it; the initial state by default.
            lengths: number of real steps of each row, ``(batch,)``; all steps by default.
            resets: bool ``(batch, time)``, true where a row starts again from the initial state: documents packed into
                rows. The back-end ``native`` takes none.

        Returns:
            Logits of the next token ``(batch, time, vocab)``, and the state after each row's last real step.

        Raises:
            TypeError, ValueError: as :meth:`read`.
        """
        read = self.read(tokens, state, lengths, resets=resets)
        return self.scores(read.features, self.embedding.weight), read.state

    def losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-probability ``(n,)`` of each of the ``targets (n,)`` for ``features (n, output)``."""
        return self.scores.losses(features, targets, self.embedding.weight)

    def step(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read one token per row, ``(batch,)``; return logits ``(batch, vocab)`` of the next one, and the state."""
        logits, state = self(tokens[:, None], state)
        return logits[:, 0], state

    def initial_state(self, rows: int) -> tuple[Any, ...]:
        """Return the state before the first token, for ``rows`` rows."""
        like = self.embedding.weight.new_zeros(rows, 1)
        layers = [layer for layer in self.recurrent.layers if isinstance(layer, Recurrent)]
        return tuple(layer.cell.initial_state(like) for layer in layers)

    def renew(self, state: tuple[Any, ...] | None, fresh: Tensor) -> tuple[Any, ...]:
        """Return ``state`` with the initial state in the rows where ``fresh (batch,)`` is true."""
        initial = self.initial_state(len(fresh))

        def choose(new: Tensor, old: Tensor) -> Tensor:
            return torch.where(fresh.view(-1, *[1] * (old.dim() - 1)), new, old)

        return initial if state is None else tuple(map_leaves(choose, initial, state))

    def _embed(self, tokens: Tensor) -> Tensor:
        weight = self.embedding.weight
        if self.training and self.dropout_embedding > 0:
            kept = torch.empty_like(weight[:, :1]).bernoulli_(1 - self.dropout_embedding)
            weight = weight * (kept / (1 - self.dropout_embedding))
        try:
            return F.embedding(tokens, weight)
        except IndexError as error:
            raise wrong_token(tokens, len(weight)) from error
