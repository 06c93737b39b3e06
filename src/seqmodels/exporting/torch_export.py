"""Models as programs of ``torch.export``, which ONNX starts from too, and as weights of layers of ``torch.nn``."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch._dynamo.exc import UserError
from torch.export import Dim, ExportedProgram

from seqmodels.errors import ConfigError
from seqmodels.exporting.checking import check
from seqmodels.exporting.interface import Graph
from seqmodels.exporting.networks import graphs_of, run_by
from seqmodels.interop import to_torch
from seqmodels.layers import Recurrent, Stack

TORCH_NN = "torch_nn"
"""Name of the files with weights for ``torch.nn``."""


def exported(graph: Graph) -> ExportedProgram:
    """Return a graph as a program of ``torch.export`` with dynamic sizes.

    Its recurrences are programs, in place of a loop of Python, which would have the steps of one example.

    Raises:
        ConfigError: it cannot be exported; the message says why.
    """
    module = run_by(deepcopy(graph.module), "fused")
    dims = {axis: _dim(axis, graph.multiples.get(axis, 1)) for axis in graph.axes}
    shapes = tuple(
        {i: dims[axis] for i, axis in enumerate(port.axes) if isinstance(axis, str)} for port in graph.inputs
    )
    with torch.no_grad(), quiet_exporter():
        try:
            return torch.export.export(module, tuple(graph.examples(3, 7)), dynamic_shapes=(shapes,))
        except ValueError as error:
            if (
                refused := re.match(r"backend 'fused' cannot run this: (.*); backend='auto'", str(error), re.DOTALL)
            ) is None:
                raise
            why = f"its recurrence has no program, which an exported graph needs: {refused[1]}"
            raise ConfigError(f"the {graph.name} cannot be exported: {why}") from error
        except UserError as error:  # of torch.export, whose first line says what it is
            why = str(error).splitlines()[0]
            raise ConfigError(f"the {graph.name} cannot be exported with sizes that vary: {why}") from error


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Hide deprecations between parts of PyTorch, and what its exporter says of packages that it does not need."""
    names = ("torch.onnx", "torch.export")
    levels = [logging.getLogger(name).level for name in names]
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
            yield
    finally:
        for name, level in zip(names, levels, strict=True):
            logging.getLogger(name).setLevel(level)


def _dim(axis: str, multiple: int) -> Dim:
    return Dim(axis, min=1) if multiple == 1 else multiple * Dim(f"{axis}_part", min=2)


def export_torch(model: nn.Module, *, tolerance: float) -> tuple[dict[str, bytes], list[str]]:
    """Return a model as files of ``torch.export``, one for each graph, compared with the model.

    Where all recurrent layers are one of ``torch.nn``, its state dict and the arguments of its constructor are added.

    Args:
        model: as in :func:`~seqmodels.exporting.networks.graphs_of`.
        tolerance: largest difference that is accepted.

    Returns:
        Contents of files by name, and lines that say what was done.

    Raises:
        ConfigError: it cannot be exported, or differs.
    """
    files: dict[str, bytes] = {}
    lines: list[str] = []
    for graph in graphs_of(model):
        program = exported(graph)
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        files[f"{graph.name}.pt2"] = buffer.getvalue()
        buffer.seek(0)
        found = check(graph, partial(_run, torch.export.load(buffer).module()), tolerance, "torch.export")
        lines.append(f"{graph.name}.pt2: largest difference {found:.2g}, tolerance {tolerance:g}")
    layer, why = _of_torch_nn(model)
    if layer is None:
        lines.append(f"no {TORCH_NN}.safetensors: {why}")
    else:
        files |= _weights(layer)
        lines.append(f"{TORCH_NN}.safetensors: the weights of torch.nn.{layer}, arguments in {TORCH_NN}.json")
    return files, lines


def _run(module: nn.Module, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    outputs: Sequence[Tensor] = module(*inputs)
    return outputs


def _of_torch_nn(model: nn.Module) -> tuple[nn.RNNBase | None, str]:
    """Return the layer of ``torch.nn`` that a model's recurrent layers are, or why there is none."""
    stack: Any = getattr(model, "recurrent", model)
    stack = Stack([stack]) if isinstance(stack, Recurrent) else stack
    if not isinstance(stack, Stack):
        return None, f"{type(stack).__name__} is no stack of recurrent layers"
    try:
        return to_torch(stack.float().cpu()).eval(), ""
    except ValueError as error:
        return None, str(error)


def _weights(layer: nn.RNNBase) -> dict[str, bytes]:
    arguments: dict[str, Any] = {
        "class": f"torch.nn.{type(layer).__name__}",
        "input_size": layer.input_size,
        "hidden_size": layer.hidden_size,
        "num_layers": layer.num_layers,
        "bidirectional": layer.bidirectional,
        "batch_first": True,
    }
    if isinstance(layer, nn.RNN):
        arguments["nonlinearity"] = layer.nonlinearity
    if isinstance(layer, nn.LSTM) and layer.proj_size:
        arguments["proj_size"] = layer.proj_size
    weights = {name: weight.detach().contiguous() for name, weight in layer.state_dict().items()}
    text = json.dumps(arguments, indent=2) + "\n"
    return {f"{TORCH_NN}.safetensors": save(weights), f"{TORCH_NN}.json": text.encode()}
