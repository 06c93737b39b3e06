"""Running models of ONNX with ONNX Runtime."""

from collections.abc import Sequence

import onnxruntime
import torch
from torch import Tensor

from seqmodels.exporting.checking import Run


def runner(model: bytes, names: Sequence[str]) -> Run:
    """Return a function that runs a model of ONNX on one core of the CPU.

    Args:
        model: the contents of an ``.onnx`` file.
        names: of the inputs, in the order in which the function takes them; it may be given fewer tensors.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone: it warns of inputs that may be left out
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        given = {name: one.numpy() for name, one in zip(names, inputs, strict=False)}
        return [torch.from_numpy(one) for one in session.run(None, given)]

    return run
