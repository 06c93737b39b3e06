"""A recurrent network that says what token comes next."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.layers import LockedDropout, Recurrent, recurrent_stack
from seqmodels.layers.stack import CellFactory
from seqmodels.models.token_scores import token_scores
from seqmodels.models.tokens import wrong_token
from seqmodels.sequence import map_leaves


class Read(NamedTuple):
    """What the recurrent layers made of a text."""

    outputs: Tensor  # (batch, time, output) of the top layer
    features: Tensor  # (batch, time, output) the same after dropout: what scores are made of
    state: Any  # of every layer after each row's last step


class LanguageModel(nn.Module):
    """An embedding, recurrent layers of any cell, and a score for each token of the vocabulary, at every step.

    With its four kinds of dropout and ``regularizers=weight_drop`` this is the network of AWD-LSTM (Merity, Keskar and
    Socher, 2018, arXiv 1708.02182).

    Args:
        cell: makes a cell from an input size, as ``partial(LSTMCell, hidden_size=128)`` does; or one for each layer.
        vocab_size: number of tokens.
        embedding_size: features that a token is mapped to.
        hidden_sizes: one hidden size for each layer, from the input upwards; ``cell`` then leaves it open.
        depth: number of layers, where ``hidden_sizes`` does not say it; 1 by default.
        dropout_embedding: probability of dropping a token of the vocabulary wherever it stands in a batch.
        dropout_input: of dropping a feature of the embedded text, for all steps of a row alike.
        dropout: the same between layers.
        dropout_output: the same above the top layer.
        residual: add what a layer reads to what it puts out.
        tie_weights: score tokens by the weight of the embedding.
        adaptive_cutoffs: score rare tokens in clusters; see :mod:`seqmodels.models.token_scores` for both.
        initializer: called with the finished network to draw its weights; each part's own way where not given.
        backend: as in :func:`~seqmodels.backends.unrolling`.
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
        if tie_weights:  # N(0, 1) is made for an embedding; as scores it would start at many times ln(vocab)
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        if initializer is not None:
            initializer(self)

    def read(self, tokens: Tensor, state: Any = None, lengths: Tensor | None = None) -> Read:
        """Read ``tokens (batch, time)`` from ``state`` on, each row as far as its length.

        Raises:
            TypeError: tokens are no tensor.
            ValueError: they are no whole numbers of two dimensions, or one is outside the vocabulary.
        """
        if not isinstance(tokens, Tensor):
            raise TypeError(f"tokens must be a tensor, got {type(tokens).__name__}")
        if tokens.dim() != 2 or tokens.is_floating_point():
            raise ValueError(f"tokens must be whole numbers (batch, time), got {tokens.dtype} {tuple(tokens.shape)}")
        outputs, state = self.recurrent(self.dropout_input(self._embed(tokens)), state, lengths)
        return Read(outputs, self.dropout_output(outputs), state)

    def forward(self, tokens: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Return scores of the next token ``(batch, time, vocab)``, whose softmax are probabilities, and the state."""
        read = self.read(tokens, state, lengths)
        return self.scores(read.features, self.embedding.weight), read.state

    def losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-probability ``(n,)`` of each of the ``targets (n,)`` for ``features (n, output)``."""
        return self.scores.losses(features, targets, self.embedding.weight)

    def step(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read one token of each row, ``(batch,)``; return scores ``(batch, vocab)`` of the next, and the state."""
        scores, state = self(tokens[:, None], state)
        return scores[:, 0], state

    def initial_state(self, rows: int) -> tuple[Any, ...]:
        """Return the state before the first token, for this many rows."""
        like = self.embedding.weight.new_zeros(rows, 1)
        layers = [layer for layer in self.recurrent.layers if isinstance(layer, Recurrent)]
        return tuple(layer.cell.initial_state(like) for layer in layers)

    def renew(self, state: tuple[Any, ...] | None, fresh: Tensor) -> tuple[Any, ...]:
        """Return ``state`` with the initial one in the rows where ``fresh (batch,)`` is true."""
        initial = self.initial_state(len(fresh))
        if state is None:
            return initial
        return map_leaves(
            lambda begun, carried: torch.where(fresh.view(-1, *[1] * (carried.dim() - 1)), begun, carried),
            initial,
            state,
        )

    def _embed(self, tokens: Tensor) -> Tensor:
        weight = self.embedding.weight
        if self.training and self.dropout_embedding > 0:
            kept = torch.empty_like(weight[:, :1]).bernoulli_(1 - self.dropout_embedding)
            weight = weight * (kept / (1 - self.dropout_embedding))
        try:
            return F.embedding(tokens, weight)
        except IndexError as error:
            raise wrong_token(tokens, len(weight)) from error
