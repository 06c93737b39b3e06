"""The networks of this package as graphs to export."""

from collections.abc import Callable
from copy import deepcopy
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.cells import Cell
from seqmodels.data import Words
from seqmodels.errors import ConfigError
from seqmodels.exporting.encoder_decoder import encoder_decoder
from seqmodels.exporting.interface import Axis, Call, Graph, Port, filled, named_leaves, outputs_of, ports_of
from seqmodels.layers import Convolution, EveryStep, Recurrent, SequenceLayer, Stack
from seqmodels.models import CTCNetwork, EncoderDecoder, LanguageModel, SegmentForecaster, Tagger
from seqmodels.models.encoder_decoder.bridge import initial_state
from seqmodels.models.forecaster import Forecaster
from seqmodels.models.group_features import GroupFeatures
from seqmodels.models.sequence_network import SequenceNetwork

LENGTHS = Port("lengths", ("batch",), length_of="time")


def graphs_of(model: nn.Module) -> list[Graph]:
    """Return a network as graphs, one for most, two for one that reads and writes sequences.

    Args:
        model: a network of :mod:`seqmodels.models`, a sequence layer or a cell. It is not changed.

    Raises:
        ConfigError: it is none of these.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> (graph,) = graphs_of(LSTMCell(4, 5))
        >>> [port.name for port in graph.inputs], list(graph.outputs)
        (['x', 'lengths', 'state.h', 'state.c'], ['y', 'next.h', 'next.c'])
    """
    model = inference_copy(Recurrent(model) if isinstance(model, Cell) else model)
    for kind, graphs in _KINDS:
        if isinstance(model, kind):
            return graphs(model)
    known = ", ".join(kind.__name__ for kind, _ in _KINDS)
    raise ConfigError(f"a {type(model).__name__} cannot be exported: it is none of {known}, nor a cell")


def inference_copy(model: nn.Module) -> nn.Module:
    """Return a copy for inference on the CPU in float32, by the back-end that is the definition."""
    model = deepcopy(model).cpu().float().eval().requires_grad_(requires_grad=False)
    for module in model.modules():
        if isinstance(module, GroupFeatures):
            module.training = True  # in evaluation it looks at the values of its input, which a graph does not have
    return run_by(model, "eager")


def run_by(model: nn.Module, backend: str) -> nn.Module:
    """Make all recurrent layers of a model run by one back-end; return the model."""
    for module in model.modules():
        if isinstance(getattr(module, "backend", None), str):
            module.backend = backend  # type: ignore[assignment]
    return model


class _Carrying(nn.Module):
    """A layer that starts from a state which was set before, and keeps the one after it for the caller."""

    def __init__(self, layer: SequenceLayer[Any]) -> None:
        super().__init__()
        self.layer = layer
        self.states = _States()

    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:  # noqa: ARG002
        y, self.states.after = self.layer(x, self.states.before, lengths)
        return y, self.states.after


class _States:
    """No module: ``torch.export`` refuses a module whose attributes change."""

    before: Any = None
    after: Any = None


def _layer_graph(layer: SequenceLayer[Any]) -> list[Graph]:
    try:
        initial = initial_state(layer, torch.zeros(1, 1))
    except TypeError:  # a layer that carries no state, or one of a user
        initial = None

    def run(layer: SequenceLayer[Any], x: Tensor, lengths: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, after = layer(x, filled(initial, state) if state else None, lengths)
        return y, *named_leaves(after if state else (), "next").values()

    x = Port("x", ("batch", "time", layer.input_size))
    state = initial if initial is not None else ()
    return [
        Graph(
            "layer",
            Call(layer, run),
            (x, LENGTHS, *ports_of(state, "state")),
            {"y": ("batch", "time", layer.output_size), **outputs_of(state, "next")},
            named_leaves(state, "state"),
        )
    ]


def _sequence_network(model: SequenceNetwork) -> list[Graph]:
    if model.embedding is not None:
        inputs = Port("inputs", ("batch", "time"), below=model.embedding.num_embeddings)
    else:
        inputs = Port("inputs", ("batch", "time", _input_size(model.front, model.recurrent)))
    initial = _carried(model.recurrent) if model.front is None and model.top is None else ()
    if initial:
        model.recurrent = _Carrying(model.recurrent)  # type: ignore[assignment]

    def run(model: Any, inputs: Tensor, lengths: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        if not state:
            return (model(inputs, lengths),)
        states = model.recurrent.states
        states.before = filled(initial, state)
        output = model(inputs, lengths)
        return output, *named_leaves(states.after, "next").values()

    size = model.read_out.out_features
    keeps_time = isinstance(model.pooling, EveryStep)
    outputs = {"output": ("batch", "time", size) if keeps_time else ("batch", size), **outputs_of(initial, "next")}
    ports = (inputs, LENGTHS, *ports_of(initial, "state"))
    start, multiples = named_leaves(initial, "state"), _multiples(model.front)
    return [Graph("model", Call(model, run), ports, outputs, start, multiples)]


def _carried(layer: SequenceLayer[Any]) -> Any:
    """Return the initial state of layers that read forwards alone, which can be fed in pieces; else nothing."""
    if layer.backward_size:
        return ()
    inner = layer if isinstance(layer, Recurrent | Stack) else getattr(layer, "layer", None)
    if not isinstance(inner, Recurrent | Stack):
        return ()
    return initial_state(inner, torch.zeros(1, 1))


def _input_size(front: nn.Module | None, recurrent: SequenceLayer[Any]) -> int:
    found = [module for module in front.modules() if isinstance(module, nn.Conv1d)] if front is not None else []
    return found[0].in_channels if found else recurrent.input_size


def _language_model(model: LanguageModel) -> list[Graph]:
    initial = model.initial_state(1)

    def run(model: LanguageModel, tokens: Tensor, lengths: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits, after = model(tokens, filled(initial, state), lengths)
        return logits, *named_leaves(after, "next").values()

    tokens = Port("tokens", ("batch", "time"), below=model.vocab_size)
    outputs = {"logits": ("batch", "time", model.vocab_size), **outputs_of(initial, "next")}
    ports = (tokens, LENGTHS, *ports_of(initial, "state"))
    return [Graph("model", Call(model, run), ports, outputs, named_leaves(initial, "state"))]


def _tagger(model: Tagger) -> list[Graph]:
    words = Port("tokens", ("batch", "time"), below=model.embedding.num_embeddings)
    if model.characters is None:
        empty = torch.zeros(1, 1, dtype=torch.long)

        def run_words(model: Tagger, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
            return (model(Words(tokens, tokens, empty, empty[0]), lengths),)

        ports, run = (words, LENGTHS), run_words
    else:
        spelling = Port("spelling", ("batch", "time"), below="words")
        letters = Port("letters", ("words", "characters"), below=model.characters.embedding.num_embeddings)
        letter_lengths = Port("letter_lengths", ("words",), length_of="characters")

        def run_spelled(model: Tagger, *tensors: Tensor) -> tuple[Tensor, ...]:
            return (model(Words(*tensors[:4]), tensors[4]),)

        ports, run = (words, spelling, letters, letter_lengths, LENGTHS), run_spelled  # type: ignore[assignment]
    return [Graph("model", Call(model, run), ports, {"scores": ("batch", "time", model.read_out.out_features)})]


def _ctc(model: CTCNetwork) -> list[Graph]:
    inputs = Port("inputs", ("batch", "time", _input_size(model.front, model.recurrent)))
    shortens = model.front is not None
    outputs: dict[str, tuple[Axis, ...]] = {
        "logits": ("batch", "steps" if shortens else "time", model.read_out.out_features)
    }

    def run(model: CTCNetwork, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        return model(inputs, lengths)[: 2 if shortens else 1]

    if shortens:
        outputs["output_lengths"] = ("batch",)
    return [Graph("model", Call(model, run), (inputs, LENGTHS), outputs, multiples=_multiples(model.front))]


def _multiples(front: nn.Module | None) -> dict[str, int]:
    """Return what the number of steps must be a multiple of for convolutions that shorten their input."""
    layers = [] if front is None else [layer for layer in front.modules() if isinstance(layer, Convolution)]
    factor = prod(layer.stride * layer.pool for layer in layers)
    return {"time": factor} if factor > 1 else {}


def _forecaster(model: Forecaster) -> list[Graph]:
    series, horizon = model.output_size, model.horizon
    others = _forecaster_sizes(model)
    ports = [Port("inputs", ("batch", "time", others["input"]))]
    if others["known"]:
        ports.append(Port("known", ("batch", horizon, others["known"])))
    if model.groups.static_size:
        ports.append(Port("static", ("batch", model.groups.static_size)))
    if model.groups.embedding is not None:
        ports.append(Port("series", ("batch",), below=model.groups.embedding.num_embeddings))
    names = [port.name for port in ports]

    def run(model: Forecaster, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, tensors, strict=True))
        known = given.get("known", tensors[0].new_zeros(tensors[0].shape[0], horizon, 0))
        params = model(given["inputs"], known, None, given.get("static"), given.get("series"))
        return params, model.likelihood.point(params)

    outputs: dict[str, tuple[Axis, ...]] = {
        "params": ("batch", horizon, series, model.likelihood.size),
        "forecast": ("batch", horizon, series),
    }
    multiples = {"time": model.segment} if isinstance(model, SegmentForecaster) else {}
    return [Graph("model", Call(model, run), tuple(ports), outputs, multiples=multiples)]


def _forecaster_sizes(model: Any) -> dict[str, int]:
    """Return the features of a step of the window, and those that are known of a future step."""
    if isinstance(model, SegmentForecaster):
        past = 0 if model.past is None else model.past.in_features // model.segment
        known = 0 if model.future is None else model.future.in_features // model.segment
        return {"input": model.output_size + past, "known": known}
    beside = model.read_out.in_features - model.recurrent.output_size
    steps = model.horizon if model.read_out.out_features > model.output_size * model.likelihood.size else 1
    known = beside // steps
    return {"input": model.recurrent.input_size - model.groups.size, "known": known}


_KINDS: tuple[tuple[type, Callable[[Any], list[Graph]]], ...] = (
    (SequenceNetwork, _sequence_network),
    (LanguageModel, _language_model),
    (Tagger, _tagger),
    (CTCNetwork, _ctc),
    (Forecaster, _forecaster),
    (EncoderDecoder, encoder_decoder),
    (SequenceLayer, _layer_graph),
)
