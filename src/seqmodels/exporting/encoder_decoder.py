"""A network that reads one sequence and writes another, as two graphs to export."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.exporting.interface import Axis, Call, Graph, Port, filled, named_leaves
from seqmodels.models import EncoderDecoder
from seqmodels.models.encoder_decoder.copying import Copies, CopyMemory
from seqmodels.models.encoder_decoder.decoder import DecoderState
from seqmodels.sequence import Shared


def encoder_decoder(model: EncoderDecoder) -> list[Graph]:
    """Return the encoder, which reads a source, and the decoder, which reads one token of each row."""
    embedding = model.decoder.embedding if model.source_embedding is None else model.source_embedding
    copies = model.decoder.pointer is not None
    like = _encoded(model, torch.zeros(1, 2, dtype=torch.long), torch.tensor([2]))
    axes = {key: ("batch", *leaf.shape[1:]) for key, leaf in named_leaves(_changing(like), "state").items()}
    memory = {
        key: ("batch", "source", *leaf.shape[2:]) for key, leaf in named_leaves(like.memory.value[0], "memory").items()
    }
    axes = {key: ("batch", "source") if key == "state.coverage" else shape for key, shape in axes.items()}

    def encode(model: EncoderDecoder, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        state = _encoded(model, source, lengths)
        parts = named_leaves(_changing(state), "state") | named_leaves(state.memory.value[0], "memory")
        return tuple(parts.values())

    def decode(model: EncoderDecoder, tokens: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        state = filled(_changing(like), tensors)
        read = filled(like.memory.value[0], tensors[len(axes) :])
        copied: Any = CopyMemory(*tensors[len(axes) + len(memory) :]) if copies else ()
        log_probs, after = model.step(
            tokens, DecoderState(state.recurrent, state.fed, state.coverage, Shared((read, copied)))
        )
        return log_probs, *named_leaves(_changing(after), "next").values()

    source = Port("source", ("batch", "source"), below=embedding.num_embeddings)
    lengths = Port("lengths", ("batch",), length_of="source")
    first = Graph("encoder", Call(model, encode), (source, lengths), {**axes, **memory})
    ports = [Port("tokens", ("batch",), below=model.decoder.vocab_size)]
    ports += [Port(key, shape) for key, shape in axes.items()]
    ports += [Port(key, shape, truth=key == "memory.real") for key, shape in memory.items()]
    vocab: Axis = model.decoder.vocab_size
    if copies:
        ports.append(Port("copies.ids", ("batch", "source"), below=model.decoder.vocab_size))
        ports.append(Port("copies.room", ("batch", "extra")))
        vocab = "tokens"
    following = {f"next{key.removeprefix('state')}": shape for key, shape in axes.items()}
    second = Graph("decoder", Call(model, decode), tuple(ports), {"log_probs": ("batch", vocab), **following})
    return [first, second]


def _encoded(model: EncoderDecoder, source: Tensor, lengths: Tensor) -> DecoderState:
    return model.encode(source, lengths, None if model.decoder.pointer is None else Copies(source, 1))


class _Changing(NamedTuple):
    """The parts of a decoder's state that a step changes."""

    recurrent: Any
    fed: Any
    coverage: Any


def _changing(state: DecoderState) -> _Changing:
    return _Changing(state.recurrent, state.fed, state.coverage)
