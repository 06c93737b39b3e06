"""The decoder of a sequence-to-sequence network: over a whole target at once, or step by step."""

from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.layers import LockedDropout, Stack
from seqmodels.layers.attention import Attention, Memory
from seqmodels.models.encoder_decoder.bridge import initial_state
from seqmodels.models.encoder_decoder.copying import Copies, CopyMemory, Pointer
from seqmodels.models.token_scores import token_scores, wrong_token
from seqmodels.sequence import Shared

InputFeeding = Literal["none", "output", "context"]
"""What the recurrent layers read beside a token: nothing; ``output``, the features of the step before (Luong et al.,
2015); ``context``, what attention returns for the output of the step before (Bahdanau et al., 2015)."""


class DecoderState(NamedTuple):
    """All that a decoder knows of the tokens before, a row for each hypothesis, and of the source."""

    recurrent: tuple[Any, ...]  # of every recurrent layer
    fed: Any  # Tensor (rows, size)  of the last step, for the next one; () without input feeding
    coverage: Any  # Tensor (rows, source)  sum of the weights of all steps; () without attention
    memory: Shared  # of Memory | () and CopyMemory | ()


class Read(NamedTuple):
    """What the output layer reads at steps of a target, each ``(rows, steps, ...)``."""

    features: Tensor
    context: Tensor  # of no features without attention
    outputs: Tensor  # of the recurrent layers
    inputs: Tensor  # embedded tokens
    weights: Tensor  # (rows, steps, source)


class Decoder(nn.Module):
    r"""An embedding, recurrent layers, attention, and at every step a log-probability for each token.

    .. math::

        s_t, c_t &= \mathrm{recurrent}, \mathrm{attention}  \\
        a_t &= W \tanh(W_a [s_t, c_t] + b_a) + b

    Without attention, :math:`a_t = W s_t + b`.

    Args:
        recurrent: the layers, which read an embedding and, with input feeding, the size of what is fed.
        attention: reads the source; None for none.
        vocab_size, embedding_size: of the target's tokens.
        feature_size: size of the layer between attention and logits.
        input_feeding: what the recurrent layers read beside a token.
        copy: whether tokens of the source can be copied.
        tie_weights: compute logits with the weight of the embedding.
        dropout_input, dropout_output: as in :class:`~seqmodels.models.EncoderDecoder`.
        unknown: the token that the network reads for a copied one outside the vocabulary.

    Raises:
        ValueError: options do not fit each other.
    """

    def __init__(
        self,
        recurrent: Stack,
        attention: Attention | None,
        *,
        vocab_size: int,
        embedding_size: int,
        feature_size: int,
        input_feeding: InputFeeding,
        copy: bool,
        tie_weights: bool,
        dropout_input: float,
        dropout_output: float,
        unknown: int,
    ) -> None:
        super().__init__()
        self.vocab_size, self.feature_size, self.unknown = vocab_size, feature_size, unknown
        self.input_feeding = input_feeding
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        if tie_weights:  # with N(0, 1) as the output weight the loss would start at many times ln(vocab)
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.dropout_input = LockedDropout(dropout_input)
        self.recurrent = recurrent
        self.attention = attention
        read = recurrent.output_size + (0 if attention is None else attention.value_size)
        self.read_out = None if attention is None else nn.Linear(read, feature_size)
        self.dropout_output = nn.Dropout(dropout_output)
        below = recurrent.output_size if attention is None else feature_size
        self.scores = token_scores(below, vocab_size, embedding_size, tied=tie_weights, cutoffs=None)
        self.pointer = Pointer(read + embedding_size) if copy else None

    @property
    def query_size(self) -> int:
        """Size of the first query, for a step that reads the source before the recurrent layers."""
        return self.recurrent.output_size if self.input_feeding == "context" else 0

    def start(
        self, recurrent: tuple[Any, ...], query: Tensor | tuple[()], values: Tensor, lengths: Tensor | None, copies: Any
    ) -> DecoderState:
        """Return the state before the first token.

        Args:
            recurrent: the states of the recurrent layers.
            query: the first query, ``(batch, query)``, where there is one.
            values: outputs of the encoder ``(batch, source, value)``.
            lengths: of the sources, ``(batch,)``.
            copies: what the source's tokens are as tokens of the target, where the decoder copies.

        Raises:
            ValueError: the decoder copies, and ``copies`` do not fit the source.
        """
        memory: Memory | tuple[()] = ()
        fed: Any = query
        coverage: Any = ()
        if self.attention is not None:
            memory = self.attention.memory(values, lengths)
            coverage = values.new_zeros(values.shape[:2])
        if self.input_feeding == "output":
            fed = values.new_zeros(values.shape[0], self.feature_size)
        copied = () if self.pointer is None else self._copied(copies, values)
        return DecoderState(recurrent, fed, coverage, Shared((memory, copied)))

    def _copied(self, copies: Any, values: Tensor) -> CopyMemory:
        if not isinstance(copies, Copies):
            raise ValueError("copy=true needs copies=Copies(ids, extra), the source as tokens of the target; got none")
        if copies.ids.shape != values.shape[:2]:
            rows, steps = values.shape[:2]
            raise ValueError(f"copies.ids must have shape ({rows}, {steps}), got {tuple(copies.ids.shape)}")
        return CopyMemory(copies.ids, values.new_zeros(values.shape[0], copies.extra))

    def initial(self, x: Tensor) -> tuple[Any, ...]:
        """Return the states of the recurrent layers of a decoder that knows nothing, for ``x (batch, ...)``."""
        state: tuple[Any, ...] = initial_state(self.recurrent, x)
        return state

    def forward(self, tokens: Tensor, state: DecoderState, own_tokens: float) -> tuple[Tensor, Tensor]:
        """Return log-probabilities ``(batch, target, tokens)`` and weights; as :class:`EncoderDecoder`."""
        if own_tokens > 0:
            return self._choosing(tokens, state, own_tokens)
        x = self.dropout_input(self.embedded(tokens))
        if self.input_feeding == "none":
            y, _ = self.recurrent(x, state.recurrent)
            context, weights, _ = self._attend(y, state)
            read = Read(self._features(y, context), context, y, x, weights)
        else:
            reads = []
            for step in x.split(1, dim=1):
                one, state = self._advance(step, state)
                reads.append(one)
            read = Read(*(torch.cat(parts, dim=1) for parts in zip(*reads, strict=True)))
        return self._log_probs(read, state), read.weights

    def _choosing(self, tokens: Tensor, state: DecoderState, own_tokens: float) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, but each token after the first may be the likeliest one after those before."""
        mask = self.dropout_input(torch.ones_like(self.embedding.weight[:1]).expand(len(tokens), 1, -1))
        own = torch.rand(tokens.shape, device=tokens.device) < own_tokens
        log_probs, weights = [], []
        read_tokens = tokens[:, :1]
        for step in range(tokens.shape[1]):
            read, state = self._advance(self.embedded(read_tokens) * mask, state)
            log_probs.append(self._log_probs(read, state))
            weights.append(read.weights)
            after = slice(step + 1, step + 2)
            read_tokens = torch.where(own[:, after], log_probs[-1].detach().argmax(-1), tokens[:, after])
        return torch.cat(log_probs, dim=1), torch.cat(weights, dim=1)

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Read one token per row, ``(rows,)``; return log-probabilities ``(rows, tokens)`` of the next."""
        read, state = self._advance(self.embedded(tokens[:, None]), state)
        return self._log_probs(read, state)[:, 0], state

    def embedded(self, tokens: Tensor) -> Tensor:
        """Embed ``tokens (batch, time)``, copied ones outside the vocabulary as unknown ones."""
        if self.pointer is not None:
            tokens = tokens.where(tokens < self.vocab_size, self.unknown)
        try:
            return self.embedding(tokens)  # type: ignore[no-any-return]
        except IndexError as error:
            raise wrong_token(tokens, self.vocab_size) from error

    def _advance(self, x: Tensor, state: DecoderState) -> tuple[Read, DecoderState]:
        """Read an embedded token of each row, ``(rows, 1, embedding)``."""
        fed, inputs = state.fed, x
        if self.input_feeding == "context":
            context, weights, coverage = self._attend(fed[:, None], state)
            inputs = torch.cat([x, context], -1)
        elif self.input_feeding == "output":
            inputs = torch.cat([x, fed[:, None]], -1)
        y, recurrent = self.recurrent(inputs, state.recurrent)
        if self.input_feeding != "context":
            context, weights, coverage = self._attend(y, state)
        features = self._features(y, context)
        if self.input_feeding != "none":
            fed = (y if self.input_feeding == "context" else features)[:, 0]
        return Read(features, context, y, x, weights), DecoderState(recurrent, fed, coverage, state.memory)

    def _attend(self, query: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, Any]:
        """Return contexts and weights for ``query (rows, steps, query)``, and the coverage after these steps.

        Rows that share a source are queries of one row of the memory.
        """
        if self.attention is None:
            nothing = query.new_zeros(*query.shape[:2], 0)
            return nothing, nothing, ()
        if self.attention.coverage and query.shape[1] > 1:
            contexts, weights = [], []
            for one in query.split(1, dim=1):
                context, weight, coverage = self._attend(one, state)
                state = state._replace(coverage=coverage)
                contexts.append(context)
                weights.append(weight)
            return torch.cat(contexts, dim=1), torch.cat(weights, dim=1), coverage
        memory, covered = state.memory.value[0], state.coverage
        rows, steps = query.shape[:2]
        before = _grouped(covered[:, None], memory.real) if self.attention.coverage else None
        context, weight = self.attention(_grouped(query, memory.real), memory, before)
        context, weight = context.reshape(rows, steps, -1), weight.reshape(rows, steps, -1)
        return context, weight, covered + weight.sum(1)

    def _features(self, y: Tensor, context: Tensor) -> Tensor:
        if self.read_out is None:
            return y
        features: Tensor = self.read_out(torch.cat([y, context], -1)).tanh()
        return features

    def _log_probs(self, read: Read, state: DecoderState) -> Tensor:
        logits = self.scores(self.dropout_output(read.features), self.embedding.weight)
        if self.pointer is None:
            return F.log_softmax(logits, -1, dtype=torch.promote_types(logits.dtype, torch.float32))
        copies = state.memory.value[1]
        grouped = [_grouped(part, copies.ids) for part in (logits, *read[1:])]
        log_probs: Tensor = self.pointer(grouped[0], (grouped[1], grouped[2], grouped[3]), grouped[4], copies)
        return log_probs.reshape(*logits.shape[:2], -1)


def _grouped(x: Tensor, source: Tensor) -> Tensor:
    """Return ``x (rows, steps, ...)`` with a row for each source, ``(batch, hypotheses * steps, ...)``."""
    return x.reshape(source.shape[0], -1, x.shape[-1])


def check_input_feeding(input_feeding: str, *, attention: bool, copy: bool) -> None:
    """Raise unless there is attention for what needs it.

    Raises:
        ValueError: ``input_feeding`` is unknown, or it or copying needs attention.
    """
    if input_feeding not in get_args(InputFeeding):
        raise ValueError(f"input_feeding must be one of {', '.join(get_args(InputFeeding))}, got {input_feeding!r}")
    if not attention and (copy or input_feeding != "none"):
        needing = "copy=true" if copy else f"input_feeding={input_feeding}"
        raise ValueError(f"{needing} needs attention: attention=additive, general or dot")
