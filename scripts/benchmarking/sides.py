"""The sides of a comparison: functions of no argument that do one training step or one inference."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarking import foreign
from benchmarking.cases import CASES, RAGGED, WRAPPERS, Shape, ragged
from seqmodels.backends import BACKENDS, unroll
from seqmodels.cells import Cell

Side = Callable[[], Any]
MODES = ("train", "inference")
OWN = ("fused", "portable", "native", "scan", "eager")
FOREIGN = ("torch", "jax", "keras")


def sides(name: str, shape: Shape, mode: str, wanted: tuple[str, ...]) -> dict[str, Side]:
    """Return what can be timed for a cell: its back-ends, the layer of ``torch.nn`` it is set against, and others."""
    torch.manual_seed(0)
    case = CASES[name]
    x = torch.randn(shape.batch, shape.time, shape.input)
    cell = case.cell(shape.input, shape.hidden)
    found: dict[str, Side] = {}
    for backend in OWN:
        if backend in wanted and BACKENDS[backend].refuses(cell.effective(), x) is None:
            found[backend] = run(cell, x, mode, backend)
    if "torch" in wanted:
        peer = case.peer(shape.input, shape.hidden, batch_first=True)
        found["torch"] = step(lambda leaf: peer(leaf)[0], peer, x, mode, shape.hidden)
    if "jax" in wanted and foreign.jax_missing() is None:
        found["jax"] = foreign.jax_side(case.peer, shape, mode)
    if "keras" in wanted and foreign.keras_missing() is None:
        found["keras"] = foreign.keras_side(case.peer, shape, mode)
    return found


def wrapped(name: str, shape: Shape, mode: str) -> dict[str, Side]:
    """Return the plain cell, the cell in each wrapper, and ragged lengths, all on the fused back-end."""
    torch.manual_seed(0)
    x = torch.randn(shape.batch, shape.time, shape.input)
    cell = CASES[name].cell(shape.input, shape.hidden)
    found = {"plain": run(cell, x, mode, "fused")}
    if shape.batch > 1:
        found[RAGGED] = run(cell, x, mode, "fused", ragged(shape))
    for kind, wrap in WRAPPERS.items():
        found[kind] = run(wrap(CASES[name].cell(shape.input, shape.hidden)), x, mode, "fused")
    return found


def run(cell: Cell[Any], x: Tensor, mode: str, backend: str, lengths: Tensor | None = None) -> Side:
    """Return one training step, or one inference, of a cell over ``x (batch, time, input)``."""
    cell.train(mode == "train")
    return step(lambda leaf: unroll(cell, leaf, lengths=lengths, backend=backend)[0], cell, x, mode, cell.output_size)


def step(function: Callable[[Tensor], Tensor], module: nn.Module, x: Tensor, mode: str, size: int) -> Side:
    """Return a forward and backward pass with gradients of the input and all parameters; or a forward pass alone."""
    if mode == "inference":

        def infer() -> Tensor:
            with torch.no_grad():
                return function(x)

        return infer
    leaf = x.clone().requires_grad_()
    dy = torch.randn(*x.shape[:2], size)
    inputs = [leaf, *module.parameters()]
    return lambda: torch.autograd.grad(function(leaf), inputs, dy, allow_unused=True)
