"""A recurrent network that gives each word of a sentence a tag."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.data.tagging.batch import Words
from seqmodels.layers import IndependentTags, LastStep, LinearChainCRF, LockedDropout, TagDistribution, recurrent_stack
from seqmodels.layers.stack import CellFactory
from seqmodels.models.token_scores import wrong_token


class Spelling(nn.Module):
    """What the characters of a word tell about it: the last output of a recurrent layer, read from either end.

    Args:
        cell: makes a cell from an input size.
        character_vocab_size: number of characters.
        embedding_size: features of an embedded character.
        hidden_size: size of the state in each direction.
        backend: as in :func:`~seqmodels.backends.unroll`.
    """

    def __init__(
        self, cell: CellFactory, character_vocab_size: int, embedding_size: int, hidden_size: int, backend: str
    ) -> None:
        super().__init__()
        self.embedding = _embedding(character_vocab_size, embedding_size)
        self.recurrent = recurrent_stack(
            cell, embedding_size, hidden_sizes=[hidden_size], bidirectional=True, backend=backend
        )
        self.pooling = LastStep(backward_size=self.recurrent.backward_size)
        self.output_size = self.recurrent.output_size

    def forward(self, letters: Tensor, lengths: Tensor) -> Tensor:
        """Return features ``(words, features)`` of ``letters (words, characters)``."""
        y, _ = self.recurrent(_embedded(self.embedding, letters), lengths=lengths)
        features: Tensor = self.pooling(y, lengths)
        return features


class Tagger(nn.Module):
    """Words and their characters, recurrent layers of any cell, and at each word a score for each tag.

    With ``bidirectional`` and ``crf`` this is the BiLSTM-CRF of Lample et al. (2016, arXiv 1603.01360); without, the
    tagger of Ling et al. (2015, arXiv 1508.02096) and Plank et al. (2016, arXiv 1604.05529).

    Args:
        cell: makes a cell from an input size, as ``partial(LSTMCell, hidden_size=128)`` does; or a sequence of such
            factories, one for each layer, the first of which also reads characters.
        vocab_size: number of words.
        character_vocab_size: number of characters.
        output_size: number of tags.
        embedding_size: features of an embedded word.
        character_embedding_size: features of an embedded character.
        character_hidden_size: size of the state of the layer over the characters of a word, in each direction; 0: words
            are read without their characters.
        dropout_embedding: probability that the embedding of a word is zeroed, which leaves its characters.
        dropout_input: probability that a feature of the words is zeroed throughout a sentence.
        hidden_sizes: one hidden size for each layer, from the input upwards, instead of one in ``cell``.
        depth: number of layers; by default that of ``hidden_sizes``, else 1.
        bidirectional: give every layer a second cell that reads backwards.
        dropout: probability that a feature between layers is zeroed throughout a sentence.
        dropout_output: the same above the top layer.
        residual: as in :class:`~seqmodels.layers.Stack`.
        crf: let the tags of neighbours depend on each other, see :class:`~seqmodels.layers.LinearChainCRF`.
        initializer: called with the finished network to set its parameters; each layer's own initialiser by default.
        backend: as in :func:`~seqmodels.backends.unroll`.

    Raises:
        ValueError: options do not fit each other.

    Example:
        >>> from functools import partial
        >>> from seqmodels.cells import LSTMCell
        >>> model = Tagger(partial(LSTMCell, hidden_size=5), vocab_size=9, character_vocab_size=7, output_size=3)
        >>> letters, letter_lengths = torch.tensor([[2, 3, 4], [5, 0, 0]]), torch.tensor([3, 1])
        >>> words = Words(torch.tensor([[2, 1, 2]]), torch.tensor([[0, 1, 0]]), letters, letter_lengths)
        >>> model(words, torch.tensor([3])).shape
        torch.Size([1, 3, 3])
    """

    tags: TagDistribution

    def __init__(
        self,
        cell: CellFactory | Sequence[CellFactory],
        *,
        vocab_size: int,
        character_vocab_size: int,
        output_size: int,
        embedding_size: int = 100,
        character_embedding_size: int = 50,
        character_hidden_size: int = 50,
        dropout_embedding: float = 0.0,
        dropout_input: float = 0.0,
        hidden_sizes: Sequence[int] | None = None,
        depth: int | None = None,
        bidirectional: bool = True,
        dropout: float = 0.0,
        dropout_output: float = 0.0,
        residual: bool = False,
        crf: bool = False,
        initializer: Callable[[nn.Module], nn.Module] | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if character_hidden_size < 0:
            raise ValueError(f"character_hidden_size must be at least 0, got {character_hidden_size}")
        self.embedding = _embedding(vocab_size, embedding_size)
        self.dropout_embedding = nn.Dropout1d(dropout_embedding)
        reader = cell[0] if isinstance(cell, Sequence) else cell
        self.characters = (
            Spelling(reader, character_vocab_size, character_embedding_size, character_hidden_size, backend)
            if character_hidden_size
            else None
        )
        self.dropout_input = LockedDropout(dropout_input)
        self.recurrent = recurrent_stack(
            cell,
            embedding_size + (self.characters.output_size if self.characters is not None else 0),
            hidden_sizes=hidden_sizes,
            depth=depth,
            bidirectional=bidirectional,
            dropout=dropout,
            residual=residual,
            backend=backend,
        )
        self.dropout_output = LockedDropout(dropout_output)
        self.read_out = nn.Linear(self.recurrent.output_size, output_size)
        self.tags = LinearChainCRF(output_size) if crf else IndependentTags()
        if initializer is not None:
            initializer(self)

    def forward(self, inputs: Words, lengths: Tensor | None = None) -> Tensor:
        """Score the tags of each word; what the scores mean is up to ``tags``.

        Args:
            inputs: the words of a batch of sentences.
            lengths: number of words of each sentence, ``(batch,)``; all by default.

        Returns:
            Scores ``(batch, time, tags)``.

        Raises:
            TypeError: ``inputs`` are not :class:`~seqmodels.data.Words`.
            ValueError: a word or character is outside its vocabulary, which only the CPU tells in time.
        """
        if not isinstance(inputs, Words):
            raise TypeError(f"inputs must be seqmodels.data.Words, got {type(inputs).__name__}")
        x = self.dropout_embedding(_embedded(self.embedding, inputs.tokens))
        if self.characters is not None:
            spelled = self.characters(inputs.letters, inputs.letter_lengths)
            x = torch.cat([x, F.embedding(inputs.spelling, spelled)], dim=-1)  # sums gradients faster than an index
        y, _ = self.recurrent(self.dropout_input(x), lengths=lengths)
        scores: Tensor = self.read_out(self.dropout_output(y))
        return scores


def _embedding(number: int, size: int) -> nn.Embedding:
    embedding = nn.Embedding(number, size)
    nn.init.normal_(embedding.weight, std=0.1)  # torch's N(0, 1) would leave rare words large and never learnt
    return embedding


def _embedded(embedding: nn.Embedding, tokens: Tensor) -> Tensor:
    try:
        x: Tensor = embedding(tokens)
    except IndexError as error:
        raise wrong_token(tokens, embedding.num_embeddings) from error
    return x
