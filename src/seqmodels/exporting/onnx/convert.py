"""From a graph of PyTorch to a model of ONNX."""

from collections.abc import Collection
from copy import deepcopy
from dataclasses import replace

import onnx
import onnx_ir as ir
import torch
from onnxscript import optimizer
from torch.export import ExportedProgram

from seqmodels import __version__
from seqmodels.exporting.interface import Graph
from seqmodels.exporting.onnx import native, scan
from seqmodels.exporting.torch_export import exported, quiet_exporter

OPSET = 18
FOLDED = 1 << 30
"""Most numbers of a constant that is computed while exporting, such as a weight with its rows in another order."""


def converted(graph: Graph, operators: Collection[str] = native.OPERATORS) -> onnx.ModelProto:
    """Return a graph as a model of ONNX, in float32, with dynamic sizes.

    Args:
        graph: what :func:`~seqmodels.exporting.networks.graphs_of` returns.
        operators: those of cells that may be used, such as ``LSTM``; other cells become a ``Scan``.

    Raises:
        ConfigError: it cannot be exported; the message says why.
    """
    graph = replace(graph, module=deepcopy(graph.module))
    native.use_native(graph.module, operators)
    with quiet_exporter():
        program = exported(graph).run_decompositions({torch.ops.seqmodels.recurrence.default: scan.decomposed})
        model = _translated(program, graph)
        optimizer.optimize(model, input_size_limit=FOLDED, output_size_limit=FOLDED)
    _name_sizes(model, graph)
    for name, value in graph.initial.items():
        _make_optional(model.graph, name, value)
    model.producer_name, model.producer_version = "seqmodels", __version__
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces, with paths of this machine
    proto: onnx.ModelProto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _translated(program: ExportedProgram, graph: Graph) -> ir.Model:
    table = {torch.ops.seqmodels.scan.default: scan.translated, torch.ops.seqmodels.rnn.default: native.translated}
    found = torch.onnx.export(
        program,
        dynamo=True,
        optimize=False,  # later, with all constants folded
        opset_version=OPSET,
        input_names=[port.name for port in graph.inputs],
        output_names=[*graph.outputs],
        custom_translation_table=table,  # type: ignore[arg-type]
        verbose=False,
    )
    assert found is not None
    model: ir.Model = found.model
    return model


def _name_sizes(model: ir.Model, graph: Graph) -> None:
    """Call the sizes of inputs and outputs what the interface calls them, instead of ``s71``."""
    for node in model.graph:
        for value in node.outputs:
            value.shape = None  # in terms of the old names
    axes = {port.name: port.axes for port in graph.inputs} | dict(graph.outputs)
    for value in (*model.graph.inputs, *model.graph.outputs):
        assert value.name is not None
        value.shape = ir.Shape(axes[value.name])
        value.metadata_props.clear()


def _make_optional(graph: ir.Graph, name: str, initial: torch.Tensor) -> None:
    """Give an input a value for callers who leave it out, and repeat a single row for the whole batch."""
    (place,) = [i for i, value in enumerate(graph.inputs) if value.name == name]
    old = graph.inputs[place]
    new = ir.Value(
        name=name,
        shape=ir.Shape([f"{name}.rows", *initial.shape[1:]]),
        type=old.type,
        const_value=ir.tensor(initial.numpy(), name=name),
    )
    first = graph.inputs[0]
    rows = ir.node("Shape", [first], {"start": 0, "end": 1})
    ones = ir.node("Constant", [], {"value": ir.tensor([1] * (initial.dim() - 1), dtype=ir.DataType.INT64)})
    shape = ir.node("Concat", [rows.outputs[0], ones.outputs[0]], {"axis": 0})
    expanded = ir.node("Expand", [new, shape.outputs[0]])
    ir.convenience.replace_all_uses_with(old, expanded.outputs[0])
    graph.inputs[place] = new
    graph.initializers[name] = new
    graph.insert_before(graph[0], [rows, ones, shape, expanded])
