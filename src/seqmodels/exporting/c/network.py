"""What of a model is exported: its layers, and what follows them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from seqmodels.cells.base import Cell
from seqmodels.errors import Refused
from seqmodels.exporting.c.forecasting import Forecasting, Head
from seqmodels.exporting.c.nodes import Leaf, Node, chained, input_size, needs_whole, node_of, shortening
from seqmodels.exporting.c.segments import segment_head, segments_of
from seqmodels.exporting.c.traced import Traced, traced_cell, traced_function
from seqmodels.layers import AttentionPool, ConcatPool, EveryStep, LastStep, MaxPool, MeanPool, Recurrent, SequenceLayer
from seqmodels.layers.crf import LinearChainCRF
from seqmodels.models import (
    CTCNetwork,
    DirectForecaster,
    LanguageModel,
    RecursiveForecaster,
    SegmentForecaster,
    SequenceNetwork,
    Tagger,
)


@dataclass(frozen=True)
class Network:
    """A model in the parts that are written.

    Attributes:
        inputs: features of a step; 1 if it reads tokens.
        node: the layers.
        table: the embedding ``(tokens, width)``; None where the input is numbers.
        pools: what the output layer reads of the steps, in order: ``last``, ``mean``, ``max``, or ``attention`` alone;
            none: every step.
        backward_size: features at the end that ``last`` takes from the first step.
        score: of ``attention``, the logarithm of the weight of a step up to a constant.
        head: the output layer; None: the features themselves.
        forecasting: what a forecaster has beside.
        crf: transitions ``(tags, tags)``, first and last ``(tags,)`` of the search for tags in the outputs.
    """

    inputs: int
    node: Node
    table: Tensor | None = None
    pools: tuple[Literal["last", "mean", "max", "attention"], ...] = ()
    backward_size: int = 0
    score: Traced | None = None
    head: Traced | None = None
    forecasting: Forecasting | None = None
    crf: tuple[Tensor, Tensor, Tensor] | None = None

    @property
    def outputs(self) -> int:
        if self.forecasting is not None:
            return self.forecasting.horizon * self.forecasting.params
        return self.node.output_size if self.head is None else self.head.output_size

    @property
    def streams(self) -> bool:
        """Whether steps can be computed one by one, before the later ones are known."""
        forecasting = self.forecasting
        if forecasting is not None and (
            forecasting.recursive or forecasting.segments is not None or forecasting.normalization != "none"
        ):
            return False
        return not needs_whole(self.node)

    @property
    def group(self) -> int:
        """Features that each step reads beside its own."""
        return 0 if self.forecasting is None else self.forecasting.group

    @property
    def shortens(self) -> int:
        """Of how many steps there is one at which the output layer can read."""
        return shortening(self.node)


def network_of(model: nn.Module) -> Network:
    """Take a model apart.

    Raises:
        Refused: a part cannot be exported as C; the message says which and why.
    """
    if isinstance(model, Cell):
        model = Recurrent(model)
    if isinstance(model, SequenceLayer):
        return Network(model.input_size, node_of(model))
    for kind, take in _MODELS.items():
        if isinstance(model, kind):
            return take(model)
    known = ", ".join(kind.__name__ for kind in _MODELS)
    raise Refused(
        f"a {type(model).__name__} cannot be exported as C; what can be: a cell, a sequence layer or stack, {known}"
    )


def _sequence_network(model: SequenceNetwork) -> Network:
    layers = [model.front, model.recurrent, model.top]
    node = chained(layers)
    pools, backward = _pools(model.pooling)
    table = None if model.embedding is None else model.embedding.weight.detach().float().cpu()
    inputs = 1 if table is not None else input_size(layers)
    head = traced_function(model.read_out, node.output_size * max(1, len(pools)))
    score = None
    if isinstance(model.pooling, AttentionPool):
        score = traced_function(_Score(model.pooling), node.output_size)
    return Network(inputs, node, table, pools, backward, score, head)


class _Score(nn.Module):
    """The score of a step in an attention over all steps."""

    def __init__(self, pooling: AttentionPool) -> None:
        super().__init__()
        self.hidden, self.score = pooling.hidden, pooling.score

    def forward(self, y: Tensor) -> Tensor:
        found: Tensor = self.score(self.hidden(y).tanh())
        return found


def _pools(pooling: nn.Module) -> tuple[tuple[Any, ...], int]:
    if isinstance(pooling, EveryStep):
        return (), 0
    if isinstance(pooling, LastStep):
        return ("last",), pooling.backward_size
    if isinstance(pooling, MeanPool):
        return ("mean",), 0
    if isinstance(pooling, MaxPool):
        return ("max",), 0
    if isinstance(pooling, AttentionPool):
        return ("attention",), 0
    if isinstance(pooling, ConcatPool):
        found = [_pools(part) for part in pooling.parts]
        return tuple(name for names, _ in found for name in names), max(backward for _, backward in found)
    raise Refused(f"the pooling {type(pooling).__name__} cannot be exported as C: it is none of seqmodels.layers")


class _Scores(nn.Module):
    """The output layer of a language model, with the weight of the embedding that it may use."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.scores = model.scores
        self.embedding = model.embedding

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.scores(features, self.embedding.weight)
        return found


def _language_model(model: LanguageModel) -> Network:
    node = node_of(model.recurrent)
    head = traced_function(_Scores(model), node.output_size)
    return Network(1, node, model.embedding.weight.detach().float().cpu(), head=head)


def _ctc_network(model: CTCNetwork) -> Network:
    layers = [model.front, model.recurrent]
    node = chained(layers)
    return Network(input_size(layers), node, head=traced_function(model.read_out, node.output_size))


def _tagger(model: Tagger) -> Network:
    if model.characters is not None:
        raise Refused("a tagger that reads the characters of its words (character_hidden_size) cannot be exported as C")
    crf = None
    if isinstance(model.tags, LinearChainCRF):
        transitions, first, last = (w.detach().float().cpu() for w in model.tags.parameters())
        crf = transitions, first, last
    node = node_of(model.recurrent)
    table = model.embedding.weight.detach().float().cpu()
    return Network(1, node, table, head=traced_function(model.read_out, node.output_size), crf=crf)


def _forecaster(model: DirectForecaster | RecursiveForecaster) -> Network:
    node, groups = node_of(model.recurrent), model.groups
    vectors = None if groups.embedding is None else groups.embedding.weight.detach().float().cpu()
    recursive = isinstance(model, RecursiveForecaster)
    known = (model.read_out.in_features - node.output_size) // (1 if recursive else model.horizon)
    size = model.output_size * model.likelihood.size
    part = Forecasting(
        model.normalization, model.output_size, model.horizon, known, groups.static_size, vectors, size, recursive
    )
    head = traced_function(Head(model, part), node.output_size + part.known_at_once + part.scaling)
    inputs = model.recurrent.input_size - groups.size
    return Network(inputs, node, pools=("last",), head=head, forecasting=part)


def _segment_forecaster(model: SegmentForecaster) -> Network:
    cell, groups = traced_cell(model.cell), model.groups
    segments = segments_of(model, cell)
    vectors = None if groups.embedding is None else groups.embedding.weight.detach().float().cpu()
    known = 0 if model.future is None else model.future.in_features // model.segment
    size = model.output_size * model.likelihood.size
    part = Forecasting(
        *(model.normalization, model.output_size, model.horizon, known, groups.static_size, vectors, size),
        recursive=False,
        segments=segments,
    )
    head = segment_head(model, part, cell)
    inputs = model.output_size + segments.others
    return Network(inputs, Leaf(cell), pools=("last",), head=head, forecasting=part)


_MODELS: dict[type[nn.Module], Callable[[Any], Network]] = {
    SequenceNetwork: _sequence_network,
    LanguageModel: _language_model,
    DirectForecaster: _forecaster,
    RecursiveForecaster: _forecaster,
    SegmentForecaster: _segment_forecaster,
    CTCNetwork: _ctc_network,
    Tagger: _tagger,
}
