"""Cells that ONNX has an operator for: ``LSTM``, ``GRU`` and ``RNN``.

While a model is exported, its layers of such cells are one operator of the graph, ``torch.ops.seqmodels.rnn``, which
:func:`translated` writes as that of ONNX.
"""

from collections.abc import Callable, Collection, Sequence
from types import MethodType
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from seqmodels.cells import Cell, ElmanCell, GRUCell, LSTMCell, PeepholeLSTMCell, ResetAfterGRUCell
from seqmodels.cells.hooks import has_hooks
from seqmodels.exporting.onnx.torch_internals import call
from seqmodels.layers import Recurrent
from seqmodels.sequence import leaves, map_leaves

OPERATORS = ("LSTM", "GRU", "RNN")

torch.library.define(
    "seqmodels::rnn",
    "(str operator, str[] activations, bool reverse, Tensor x, Tensor[] state, Tensor w, Tensor r, Tensor b,"
    " Tensor? p, Tensor? lengths) -> Tensor[]",
)


@torch.library.register_fake("seqmodels::rnn")
def _(
    operator: str,
    activations: Sequence[str],
    reverse: bool,
    x: Tensor,
    state: Sequence[Tensor],
    w: Tensor,
    r: Tensor,
    b: Tensor,
    p: Tensor | None,
    lengths: Tensor | None,
) -> list[Tensor]:
    del operator, activations, reverse, w, b, p, lengths
    return [x.new_empty(*x.shape[:2], r.shape[-1]), *(torch.empty_like(one) for one in state)]


class Weights(NamedTuple):
    """Inputs of an operator of ONNX, as its specification orders them."""

    operator: str
    activations: list[str]
    w: Tensor  # (1, gates * hidden, input)
    r: Tensor  # (1, gates * hidden, hidden)
    b: Tensor  # (1, 2 * gates * hidden)  of the input product, then of the recurrent one
    p: Tensor | None = None  # (1, 3 * hidden)


def native_weights(cell: Cell[Any]) -> Weights | None:
    """Return the operator of ONNX that computes a cell exactly, with its weights; None if there is none.

    Args:
        cell: in evaluation mode.
    """
    found = _KINDS.get(type(cell))
    if (
        found is None
        or found.methods != (type(cell).step, type(cell).project)
        or {"step", "project"} & vars(cell).keys()
    ):
        return None  # a method was replaced
    return found.weights(cell)


def use_native(model: nn.Module, operators: Collection[str] = OPERATORS) -> None:
    """Make the recurrent layers of a model, a copy that nothing else uses, one operator each where ONNX has it.

    Args:
        model: in evaluation mode.
        operators: those that may be used.
    """
    for layer in model.modules():
        if type(layer) is not Recurrent or has_hooks(layer.cell):
            continue
        with torch.no_grad():
            weights = native_weights(layer.cell.effective())
        if weights is not None and weights.operator in operators:
            for name in ("w", "r", "b", "p"):
                layer.register_buffer(f"onnx_{name}", getattr(weights, name))
            layer.forward = MethodType(_forward(weights), layer)  # type: ignore[method-assign]


def _forward(weights: Weights) -> Callable[..., Any]:
    def forward(
        self: Recurrent[Any], x: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        state = self.cell.initial_state(x[:, 0]) if state is None else state
        parts = (getattr(self, f"onnx_{name}") for name in ("w", "r", "b", "p"))
        y, *final = torch.ops.seqmodels.rnn(
            weights.operator, weights.activations, self.reverse, x, leaves(state), *parts, lengths
        )
        rest = iter(final)
        return y, map_leaves(lambda _: next(rest), state)

    return forward


def translated(
    operator: str,
    activations: Sequence[str],
    reverse: bool,
    x: ir.Value,
    state: Sequence[ir.Value],
    w: ir.Value,
    r: ir.Value,
    b: ir.Value,
    p: ir.Value | None = None,
    lengths: ir.Value | None = None,
) -> list[ir.Value]:
    """Write ``torch.ops.seqmodels.rnn`` as the operator of ONNX; the exporter of PyTorch calls this."""
    first = call("Constant", value=ir.tensor(np.array([0], np.int64)))[0]
    second = call("Constant", value=ir.tensor(np.array([1], np.int64)))[0]
    steps = None if lengths is None else call("Cast", lengths, to=int(ir.DataType.INT32))[0]
    initial = [call("Unsqueeze", one, first)[0] for one in state]
    options: dict[str, Any] = {"linear_before_reset": int(activations[0] == "after")} if operator == "GRU" else {}
    if operator == "RNN":
        options["activations"] = [*activations]
    rest = [] if p is None else [p]
    y, *final = call(
        operator,
        *(call("Transpose", x, perm=[1, 0, 2])[0], w, r, b, steps, *initial, *rest),
        outputs=1 + len(state),
        hidden_size=int(_size(r)),
        direction="reverse" if reverse else "forward",
        **options,
    )
    y = call("Transpose", call("Squeeze", y, second)[0], perm=[1, 0, 2])[0]
    return [y, *(call("Squeeze", one, first)[0] for one in final)]


def _size(r: ir.Value) -> Any:
    assert r.shape is not None
    return r.shape[-1]


def _ordered(cell: Any, order: str, *, negated: str = "") -> tuple[Tensor, Tensor, Tensor]:
    """Return the weights and the bias of a cell with their rows in another order of gates, some negated."""
    found = []
    for tensor in (cell.weight_ih, cell.weight_hh, cell.bias):
        blocks = dict(zip(cell.gates, tensor.chunk(len(cell.gates)), strict=True))
        found.append(torch.cat([-blocks[gate] if gate in negated else blocks[gate] for gate in order]))
    return found[0], found[1], found[2]


def _elman(cell: ElmanCell) -> Weights | None:
    names = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid"}
    if cell.activation not in names:
        return None
    bias = torch.cat([cell.bias, torch.zeros_like(cell.bias)])
    return Weights("RNN", [names[cell.activation]], cell.weight_ih[None], cell.weight_hh[None], bias[None])


def _lstm(cell: LSTMCell | PeepholeLSTMCell) -> Weights:
    w, r, b = _ordered(cell, "iofg")
    peepholes = None
    if isinstance(cell, PeepholeLSTMCell):
        peepholes = torch.cat([cell.weight_ci, cell.weight_co, cell.weight_cf])[None]
    return Weights("LSTM", [], w[None], r[None], torch.cat([b, torch.zeros_like(b)])[None], peepholes)


def _gru(cell: GRUCell) -> Weights:
    """The update gate of ONNX weighs the old state: it is 1 - z, the sigmoid of the negated sum."""
    w, r, b = _ordered(cell, "zrn", negated="z")
    return Weights("GRU", ["before"], w[None], r[None], torch.cat([b, torch.zeros_like(b)])[None])


def _gru_reset_after(cell: ResetAfterGRUCell) -> Weights:
    w, r, b = _ordered(cell, "zrn")
    recurrent = torch.cat([b.new_zeros(2 * cell.hidden_size), cell.bias_hn])
    return Weights("GRU", ["after"], w[None], r[None], torch.cat([b, recurrent])[None])


class _Kind(NamedTuple):
    weights: Callable[[Any], Weights | None]
    methods: tuple[Any, Any]  # step and project, as they are now: a class can be changed later


_KINDS: dict[type[Cell[Any]], _Kind] = {
    kind: _Kind(weights, (kind.step, kind.project))
    for kind, weights in (
        (ElmanCell, _elman),
        (LSTMCell, _lstm),
        (PeepholeLSTMCell, _lstm),
        (GRUCell, _gru),
        (ResetAfterGRUCell, _gru_reset_after),
    )
}
