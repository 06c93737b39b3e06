"""PyTorch's own kernels (cuDNN, oneDNN, ATen's loops), for the cells that they compute exactly."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.backends.backend import Projection
from seqmodels.backends.precision import as_precise_as_matmul
from seqmodels.cells import Cell, ElmanCell, LSTMCell, ProjectedLSTMCell, ResetAfterGRUCell
from seqmodels.errors import Refused
from seqmodels.sequence import constants, last_step, length_mask
from seqmodels.system.graphs import outside_graphs

_SATURATED = 1e4  # a sigmoid of it is exactly 1, of its negative exactly 0, in every dtype


class Native:
    """``torch.lstm``, ``torch.gru``, ``torch.rnn_tanh`` and ``torch.rnn_relu``, which ``torch.nn`` layers run.

    Ragged batches run padded, in one call, without sorting, packing or synchronising on lengths: a packed LSTM does not
    use oneDNN and takes several times as long. Padding steps are marked in an extra input column whose weights keep the
    state unchanged. On CUDA, float32 products are as precise as those of ``torch.matmul``. Only ``eager`` has
    derivatives of second order.
    """

    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        kind = type(cell)
        if kind not in _KERNELS:  # not a subclass, which may have another step
            return f"PyTorch has no kernel for {kind.__name__}"
        if (changed := _changed(cell)) is not None:
            return changed
        if isinstance(cell, ElmanCell) and cell.activation not in _ELMAN_KERNELS:
            return f"PyTorch has kernels for ElmanCell with {' or '.join(_ELMAN_KERNELS)}, not {cell.activation}"
        if x.device.type not in ("cpu", "cuda"):
            return f"PyTorch's kernels were checked on cpu and cuda, not on {x.device.type}"
        if isinstance(cell, ProjectedLSTMCell) and cell.proj_size >= cell.hidden_size:
            return f"PyTorch's kernels project to less than the hidden size {cell.hidden_size}, not to {cell.proj_size}"
        on_one_dnn = x.device.type == "cpu" and x.dtype != torch.float64 and torch.backends.mkldnn.is_available()
        if isinstance(cell, ProjectedLSTMCell) and on_one_dnn:
            return f"oneDNN, PyTorch's kernel on the CPU in {x.dtype}, has no LSTM with projections"
        if torch.is_autocast_enabled("cpu") and x.device.type == "cpu" and not _runs_under_autocast(kind, x.dtype):
            return f"this processor has no {kind.__name__} in the type of torch.autocast (oneDNN)"
        return None

    def __call__(
        self,
        cell: Cell[Any],
        x: Tensor,
        state: Any,
        lengths: Tensor | None,
        projection: Projection | None = None,
        *,
        resets: Tensor | None = None,
        restart: Any = None,
    ) -> tuple[Tensor, Any]:
        del projection, restart  # the kernel multiplies the input itself, and takes no resets
        if why := self.refuses(cell, x):
            raise Refused(why)
        if resets is not None:
            raise Refused("PyTorch's kernels run a row from its first step to its last, without resets")
        return self.run(cell, x, state, lengths)

    @outside_graphs  # torch.compile breaks its graph at a torch.nn.LSTM as well
    def run(self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
        """Run a cell that is not refused."""
        kernel = _KERNELS[type(cell)]
        weights = kernel.weights(cell)
        hold = None if lengths is None else kernel.hold(cell)
        padding = None if lengths is None else ~length_mask(lengths, x.shape[1])[..., None]  # (batch, time, 1)
        if padding is not None and hold is not None:
            x = torch.cat([x, padding.to(x.dtype)], dim=-1)
            weights[0] = torch.cat([weights[0], hold[:, None]], dim=1)
        initial = tuple(leaf[None].contiguous() for leaf in state)  # (1, batch, hidden)
        arguments = (
            x,
            initial if len(initial) > 1 else initial[0],
            weights if x.device.type == "cpu" else _in_one_piece(weights),
            True,  # biases
            1,  # layers
            0.0,  # dropout
            torch.is_grad_enabled(),  # whether cuDNN keeps what a backward pass needs; not the mode of the module
            False,  # bidirectional
            True,  # batch first
        )
        function = kernel.function(cell)
        if x.device.type == "cpu" or x.dtype != torch.float32:
            y, *final = function(*arguments)
        else:
            y, *final = as_precise_as_matmul(lambda: function(*arguments))
        if padding is None:
            return y, type(state)(*(leaf[0] for leaf in final))
        # c, if any, was held; h at padding steps is not, so take it at the last real step
        return y.masked_fill(padding, 0), type(state)(last_step(y, lengths), *(leaf[0] for leaf in final[1:]))


def _changed(cell: Cell[Any]) -> str | None:
    """Return in what a cell no longer is what its kernel computes, or None."""
    kind = type(cell)
    if (name := set_on_itself(cell)) is not None:
        return f"this {kind.__name__} has a method {name} of its own"
    if _METHODS[kind] != (kind.step, kind.project):
        return f"step or project of {kind.__name__} is no longer the one that PyTorch's kernel computes"
    return None


def set_on_itself(cell: Cell[Any]) -> str | None:
    """Return the method of a cell that was set on the object, as ``cell.step = ...`` does; None if there is none."""
    own = vars(cell)
    if own.keys().isdisjoint(_NAMES):
        return None
    return next(name for name in _NAMES if name in own)


def _in_one_piece(weights: list[Tensor]) -> list[Tensor]:
    """Return the weights as views of one buffer, as cuDNN requires: else it copies them and warns at every call.

    In the buffer the weight of a projection, the last one, lies before the biases.
    """
    order = [0, 1, *range(4, len(weights)), 2, 3]
    buffer = torch.cat([weights[i].reshape(-1) for i in order])
    parts = dict(zip(order, buffer.split([weights[i].numel() for i in order]), strict=True))
    return [parts[i].view_as(weight) for i, weight in enumerate(weights)]


@lru_cache(maxsize=16)
def _runs_under_autocast(kind: type[Cell[Any]], dtype: torch.dtype) -> bool:
    """Run a tiny kernel: under autocast oneDNN may need a narrow dtype that the processor does not have."""
    cell = kind(2, 2).to(dtype)
    x = torch.zeros(1, 1, 2, dtype=dtype)
    with torch.no_grad():
        try:
            Native().run(cell, x, cell.initial_state(x[:, 0]), None)
        except RuntimeError:
            return False
    return True


class _Kernel(NamedTuple):
    function: Callable[[Any], Callable[..., Any]]
    weights: Callable[[Any], list[Tensor]]  # weight_ih, weight_hh and two biases, as torch orders them
    hold: Callable[[Any], Tensor | None]  # what a padding step adds to W x + b; None if nothing is needed


def _weights(cell: ElmanCell | LSTMCell) -> list[Tensor]:
    return [cell.weight_ih, cell.weight_hh, cell.bias, torch.zeros_like(cell.bias)]


def _projected_weights(cell: ProjectedLSTMCell) -> list[Tensor]:
    return [cell.weight_ih, cell.weight_hh, cell.bias, torch.zeros_like(cell.bias), cell.weight_hr]


def _reset_after_weights(cell: ResetAfterGRUCell) -> list[Tensor]:
    gates = cell.bias.new_zeros(2 * cell.hidden_size)
    return [cell.weight_ih, cell.weight_hh, cell.bias, torch.cat([gates, cell.bias_hn])]


def _hold_memory(cell: LSTMCell | ProjectedLSTMCell) -> Tensor:
    """Close i and open f, so that c stays exactly as it is."""
    per_gate = [-_SATURATED if gate == "i" else _SATURATED * (gate == "f") for gate in cell.gates]
    return constants(per_gate, cell.bias).repeat_interleave(cell.hidden_size)


def _hold_elman(cell: ElmanCell) -> Tensor | None:
    """Switch off relu, which could grow without bound over a long padding."""
    return torch.full_like(cell.bias, -_SATURATED) if cell.activation == "relu" else None


_NAMES = ("step", "project", "initial_state", "coefficients", "forward")

_ELMAN_KERNELS: dict[str, Callable[..., Any]] = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}

_KERNELS: dict[type[Cell[Any]], _Kernel] = {
    ElmanCell: _Kernel(lambda cell: _ELMAN_KERNELS[cell.activation], _weights, _hold_elman),
    LSTMCell: _Kernel(lambda _: torch.lstm, _weights, _hold_memory),
    ProjectedLSTMCell: _Kernel(lambda _: torch.lstm, _projected_weights, _hold_memory),
    ResetAfterGRUCell: _Kernel(lambda _: torch.gru, _reset_after_weights, lambda _: None),
}

_METHODS = {kind: (kind.step, kind.project) for kind in _KERNELS}  # as they are now: a class can be changed later
