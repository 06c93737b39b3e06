"""Many cells in one graph: exporting each alone would take seconds for each."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from seqmodels.exporting.checking import BATCHES, LENGTHS, difference_of
from seqmodels.exporting.interface import Graph, Port, named_leaves
from seqmodels.exporting.networks import inference_copy
from seqmodels.exporting.onnx.convert import converted
from seqmodels.exporting.onnx.runtime import runner
from seqmodels.layers import SequenceLayer
from seqmodels.sequence import map_leaves

INPUT = 4


class Many(nn.Module):
    """Layers side by side; the state of each follows its output."""

    def __init__(self, layers: Mapping[str, SequenceLayer[Any]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers.values())

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        x, lengths = tensors
        found: list[Tensor] = []
        for layer in self.layers:
            y, state = layer(x, lengths=lengths)
            found += [y, *named_leaves(state, "").values()]
        return tuple(map_leaves(lambda one: one * 1, tuple(found)))  # an output of its own, also where two are one


def graph_of(layers: Mapping[str, SequenceLayer[Any]]) -> Graph:
    """Return layers, in evaluation mode, as one graph."""
    module = inference_copy(Many(layers))
    x, lengths = Port("x", ("batch", "time", INPUT)), Port("lengths", ("batch",), length_of="time")
    draft = Graph("layers", module, (x, lengths), {})
    outputs: dict[str, Any] = {}
    results = iter(module(*draft.examples(1, 1)))
    for name, layer in layers.items():
        outputs[f"{name}/y"] = ("batch", "time", *next(results).shape[2:])
        state = layer(draft.examples(1, 1)[0])[1]
        for leaf in named_leaves(state, f"{name}/state"):
            outputs[leaf] = ("batch", *next(results).shape[1:])
    return Graph("layers", module, (x, lengths), outputs)


def differences(layers: Mapping[str, SequenceLayer[Any]]) -> tuple[dict[str, float], list[str]]:
    """Return by how much ONNX Runtime differs from each layer, its states included; and the operators of the graph."""
    graph = graph_of(layers)
    model = converted(graph)
    run = runner(model.SerializeToString(), ["x", "lengths"])
    worst: dict[str, float] = dict.fromkeys(layers, 0.0)
    for batch in BATCHES:
        for time in LENGTHS:
            inputs = graph.examples(batch, time, seed=time)
            pairs: Sequence[tuple[Tensor, Tensor]] = [*zip(run(inputs), graph.module(*inputs), strict=True)]
            for key, (found, wanted) in zip(graph.outputs, pairs, strict=True):
                name = key.partition("/")[0]
                worst[name] = max(worst[name], difference_of(found, wanted))
    return worst, [node.op_type for node in model.graph.node]
