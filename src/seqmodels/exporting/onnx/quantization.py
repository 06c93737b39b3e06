"""Weights in int8: dynamic quantisation by ONNX Runtime."""

import logging
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

NATIVE = ("LSTM",)
"""Operators of cells that ONNX Runtime has in int8; other cells are written as a ``Scan``, whose products it has."""
PRODUCTS = ["MatMul", "Gemm", "Gather", "LSTM"]


def quantized(model: onnx.ModelProto) -> bytes:
    """Return a model with the weights of products in int8; inputs of products are rounded to int8 as they come.

    Args:
        model: in float32.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it warns that its optimiser has not run, which adds nothing to these graphs
        try:
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=PRODUCTS,
                per_channel=True,
                reduce_range=True,  # 7 bits: x86 without VNNI adds two products in 16 bits, which 8 bits overflow
                weight_type=QuantType.QInt8,
                extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
            )
        finally:
            logging.disable(disabled)
        return target.read_bytes()
