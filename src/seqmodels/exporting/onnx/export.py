"""Models as files of ONNX, compared with the model."""

from collections.abc import Callable, Mapping
from typing import Any

import onnx
from torch import nn

from seqmodels.exporting.checking import TOLERANCE, check, largest_difference
from seqmodels.exporting.networks import graphs_of
from seqmodels.exporting.onnx.convert import converted
from seqmodels.exporting.onnx.methods import methods_of
from seqmodels.exporting.onnx.native import OPERATORS
from seqmodels.exporting.onnx.quantization import NATIVE, quantized
from seqmodels.exporting.onnx.runtime import runner

RECURRENT = (*OPERATORS, "Scan")


def export_onnx(
    model: nn.Module,
    *,
    dtype: str = "float32",
    tolerance: float = TOLERANCE,
    measure: Callable[[Mapping[str, Callable[..., Any]]], list[str]] | None = None,
) -> tuple[dict[str, bytes], list[str]]:
    """Return a model as files of ONNX, one for each graph, compared with the model by ONNX Runtime.

    Args:
        model: a network of :mod:`seqmodels.models`, a sequence layer or a cell; it is not changed.
        dtype: ``float32``, or ``int8`` for weights of products in int8 (dynamic quantisation), which is compared in
            float32 before it is rounded.
        tolerance: largest difference from the model that is accepted, in float32.
        measure: of ``int8``, is given what stands in for methods of the model, by name, and runs what was exported;
            returns further lines.

    Returns:
        Contents of files by name, and lines that say what was done.

    Raises:
        ConfigError: the model cannot be exported, or ONNX Runtime computes something else; the message says what.

    Example:
        >>> from seqmodels.cells import MGUCell
        >>> files, lines = export_onnx(MGUCell(4, 5))
        >>> [*files], "Scan" in lines[0]
        (['layer.onnx'], True)
    """
    files: dict[str, bytes] = {}
    lines: list[str] = []
    small: dict[str, Mapping[str, Callable[..., Any]]] = {}
    for graph in graphs_of(model):
        names = [port.name for port in graph.inputs]
        proto = converted(graph, NATIVE if dtype == "int8" else OPERATORS)
        content = proto.SerializeToString()
        found = check(graph, runner(content, names), tolerance, "ONNX Runtime")
        file = f"{graph.name}.onnx"
        lines.append(f"{file}: {_described(proto)}; largest difference {found:.2g}, tolerance {tolerance:g}")
        if dtype == "int8":
            size = len(content)
            content = quantized(proto)
            found = largest_difference(graph, runner(content, names))
            small[graph.name] = methods_of(model, graph, runner(content, names))
            lines.append(f"{file} in int8: {len(content)} bytes of {size}; largest difference {found:.2g}")
        files[file] = content
    if measure is not None and small:
        lines += measure(next(iter(small.values())) if len(small) == 1 else {})
    return files, lines


def _described(model: onnx.ModelProto) -> str:
    """Return how recurrences are computed."""
    found = [node.op_type for node in model.graph.node if node.op_type in RECURRENT]
    kinds = [f"{found.count(kind)} {kind}" for kind in dict.fromkeys(found)]
    return ", ".join(kinds) or "no recurrence"
