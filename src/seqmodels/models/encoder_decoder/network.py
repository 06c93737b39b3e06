"""A network that reads one sequence and writes another."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.layers import LockedDropout, SequenceLayer, Stack
from seqmodels.layers.attention import Attention
from seqmodels.models.encoder_decoder.bridge import Bridge
from seqmodels.models.encoder_decoder.copying import Copies
from seqmodels.models.encoder_decoder.decoder import Decoder, DecoderState, InputFeeding, check_input_feeding
from seqmodels.models.token_scores import wrong_token


class Prediction(NamedTuple):
    """What the network says of the token after each token of a target."""

    log_probs: Tensor  # (batch, target, vocab), or vocab + extra where it copies
    weights: Tensor  # (batch, target, source)  of attention; without attention, of no source steps


class EncoderDecoder(nn.Module):
    """A sequence-to-sequence network of any cells, with or without attention (Sutskever et al., 2014, 1409.3215).

    In training the decoder reads the true tokens (teacher forcing). Where attention does not feed the recurrence,
    ``input_feeding="none"``, its recurrent layers run over the whole target at once, by the fastest back-end; otherwise
    step by step, where dropout masks between layers and of wrapped cells are redrawn at each step.

    Args:
        encoder: called with ``input_size=``, makes a stack of recurrent layers, as
            ``partial(recurrent_stack, cell, bidirectional=True)`` does.
        decoder: the same, reading forwards; it may have other cells, widths and depth than the encoder.
        attention: makes an attention layer from the sizes of a query and of the encoder's outputs, such as
            :class:`~seqmodels.layers.AdditiveAttention`; None for none.
        source_vocab_size, target_vocab_size: numbers of tokens.
        embedding_size: features of an embedded token.
        feature_size: size of the layer that joins the decoder's outputs and what attention returns, from which logits
            are computed; ``embedding_size`` by default.
        input_feeding: what the decoder reads beside a token: ``none``; ``output``, the joined features of the step
            before; ``context``, what attention returns for the output of the step before. The last two need attention.
        copy: mix in the probability of copying a token of the source (See et al., 2017, arXiv 1704.04368).
        tie_weights: compute logits with the weight of the decoder's embedding.
        share_embeddings: embed sources with the decoder's embedding, for one vocabulary of both.
        dropout_input: probability that a feature of the embeddings is zeroed at all steps of a row.
        dropout_output: probability that a feature of what logits are computed from is zeroed.
        unknown: the token that the decoder reads for a copied one outside the vocabulary.
        initializer: called with the finished network to set its parameters; each layer's own initialiser by default.

    Raises:
        ValueError: options do not fit each other.

    Example:
        >>> from functools import partial
        >>> from seqmodels.cells import GRUCell, LSTMCell
        >>> from seqmodels.layers import AdditiveAttention, recurrent_stack
        >>> model = EncoderDecoder(
        ...     partial(recurrent_stack, LSTMCell, hidden_sizes=[5], bidirectional=True),
        ...     partial(recurrent_stack, GRUCell, hidden_sizes=[6]),
        ...     attention=AdditiveAttention,
        ...     source_vocab_size=9,
        ...     target_vocab_size=8,
        ...     embedding_size=4,
        ... )
        >>> source, lengths = torch.tensor([[4, 5, 6], [7, 8, 0]]), torch.tensor([3, 2])
        >>> log_probs, weights = model(source, torch.tensor([[2, 4, 5, 6], [2, 7, 0, 0]]), lengths)
        >>> log_probs.shape, weights.shape
        (torch.Size([2, 4, 8]), torch.Size([2, 4, 3]))
        >>> from seqmodels.decoding import beam_search
        >>> state = model.encode(source, lengths)
        >>> found = beam_search(model.step, state, start=torch.tensor([2, 2]), end=3, max_length=5, beam=3)
        >>> len(found)
        2
    """

    def __init__(
        self,
        encoder: Callable[..., SequenceLayer[Any]],
        decoder: Callable[..., SequenceLayer[Any]],
        *,
        attention: Callable[[int, int], Attention] | None = None,
        source_vocab_size: int,
        target_vocab_size: int,
        embedding_size: int = 256,
        feature_size: int | None = None,
        input_feeding: InputFeeding = "none",
        copy: bool = False,
        tie_weights: bool = False,
        share_embeddings: bool = False,
        dropout_input: float = 0.0,
        dropout_output: float = 0.0,
        unknown: int = 1,
        initializer: Callable[[nn.Module], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        check_input_feeding(input_feeding, attention=attention is not None, copy=copy)
        feature_size = embedding_size if feature_size is None else feature_size
        self.dropout_input = LockedDropout(dropout_input)
        self.encoder = _stack(encoder(input_size=embedding_size), "encoder")
        fed = {"none": 0, "output": feature_size, "context": self.encoder.output_size}[input_feeding]
        layers = _stack(decoder(input_size=embedding_size + fed), "decoder")
        if layers.backward_size:
            raise ValueError("decoder must read forwards, got layers that read backwards (bidirectional=true)")
        self.decoder = Decoder(
            layers,
            None if attention is None else attention(layers.output_size, self.encoder.output_size),
            vocab_size=target_vocab_size,
            embedding_size=embedding_size,
            feature_size=feature_size,
            input_feeding=input_feeding,
            copy=copy,
            tie_weights=tie_weights,
            dropout_input=dropout_input,
            dropout_output=dropout_output,
            unknown=unknown,
        )
        self.bridge = Bridge(self.encoder, layers, self.decoder.query_size)
        self.source_embedding = self._source_embedding(source_vocab_size, shared=share_embeddings)
        if initializer is not None:
            initializer(self)

    def _source_embedding(self, vocab_size: int, *, shared: bool) -> nn.Embedding | None:
        target = self.decoder.embedding
        if shared and vocab_size != target.num_embeddings:
            sizes = f"{vocab_size} and {target.num_embeddings}"
            raise ValueError(f"share_embeddings needs one vocabulary of sources and targets, got {sizes} tokens")
        if shared:
            return None
        return nn.Embedding(vocab_size, target.embedding_dim)

    def encode(self, source: Tensor, lengths: Tensor | None = None, copies: Copies | None = None) -> DecoderState:
        """Read sources; return the decoder's state before the first token, with what it needs of the sources.

        Args:
            source: tokens ``(batch, source)``, padded at the end.
            lengths: number of real tokens of each source, ``(batch,)``, at least 1; all by default.
            copies: the tokens of the sources as tokens of the target, where the network copies.

        Raises:
            TypeError: ``source`` is not a tensor.
            ValueError: ``source`` are not integers of two dimensions, one is outside the vocabulary, a length on the
                CPU is outside [1, source], or ``copies`` are missing.
        """
        embedding = self.decoder.embedding if self.source_embedding is None else self.source_embedding
        _check_tokens("source", source)
        try:
            x = self.dropout_input(embedding(source))
        except IndexError as error:
            raise wrong_token(source, embedding.num_embeddings) from error
        values, states = self.encoder(x, None, lengths)
        recurrent, query = self.bridge(states, self.decoder.initial(x))
        return self.decoder.start(recurrent, query, values, lengths, copies)

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        lengths: Tensor | None = None,
        *,
        copies: Copies | None = None,
        own_tokens: float = 0.0,
    ) -> Prediction:
        """Predict the token after each token of a target.

        Args:
            source, lengths, copies: as in :meth:`encode`.
            target: tokens ``(batch, target)`` that the decoder reads, beginning with a start token, padded at the end.
                A prediction depends on the tokens up to its own alone, so that padding needs no lengths.
            own_tokens: probability that the decoder reads, in place of a token after the first, the one which it
                predicted there itself (scheduled sampling; Bengio et al., 2015, arXiv 1506.03099), drawn for each
                token. Above 0 it runs step by step.

        Returns:
            Log-probabilities ``(batch, target, vocab)``, where the network copies ``(batch, target, vocab + extra)``,
            and the weights of attention.

        Raises:
            TypeError, ValueError: as :meth:`encode`; for ``target`` likewise.
        """
        _check_tokens("target", target)
        state = self.encode(source, lengths, copies)
        if len(target) != len(source):
            raise ValueError(f"source and target must have one number of rows, got {len(source)} and {len(target)}")
        return Prediction(*self.decoder(target, state, own_tokens))

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Read one token per hypothesis, ``(rows,)``, for :mod:`seqmodels.decoding`.

        Args:
            tokens: the last token of each hypothesis; those of one source lie side by side.
            state: as :meth:`encode` or this method returned it.

        Returns:
            Log-probabilities ``(rows, vocab)`` of the next token, and the new state.
        """
        return self.decoder.step(tokens, state)

    @staticmethod
    def coverage(state: DecoderState) -> Tensor:
        """Return how much attention each step of the source has had, ``(rows, source)``, 1 past its length.

        This is ``coverage_of`` for the coverage penalty of a beam search.

        Raises:
            ValueError: the network has no attention.
        """
        if not isinstance(state.coverage, Tensor):
            raise ValueError("a coverage penalty needs a network with attention, got one without")
        real = state.memory.value[0].real
        hypotheses = len(state.coverage) // len(real)
        return state.coverage.masked_fill(~real.repeat_interleave(hypotheses, dim=0), 1)


def _stack(layer: SequenceLayer[Any], name: str) -> Stack:
    """Return a layer as a stack.

    Raises:
        TypeError: it is no sequence layer.
    """
    if not isinstance(layer, SequenceLayer):
        raise TypeError(f"{name} must make a sequence layer, as recurrent_stack does, got {type(layer).__name__}")
    return layer if isinstance(layer, Stack) else Stack([layer])


def _check_tokens(name: str, tokens: Tensor) -> None:
    if not isinstance(tokens, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(tokens).__name__}")
    if tokens.dim() != 2 or tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError(f"{name} must be whole numbers (batch, time), got {tokens.dtype} {tuple(tokens.shape)}")
