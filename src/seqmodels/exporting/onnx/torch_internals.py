"""What translating an operator needs of PyTorch's ONNX exporter beyond its public interface."""

from typing import Any

import onnx_ir as ir
from torch.onnx._internal.exporter import _core
from torch.onnx._internal.exporter._torchlib.ops.hop import call_op


def call(name: str, *inputs: ir.Value | None, outputs: int = 1, **attributes: Any) -> list[ir.Value]:
    """Add a node with an operator of ONNX to the graph that is being translated; return its outputs."""
    return [*call_op(name, *inputs, _num_outputs=outputs, **attributes)]


def opset() -> int:
    """Return the version of ONNX's operators that is being written."""
    assert _core.current_tracer is not None
    return int(_core.current_tracer.opset.version)
