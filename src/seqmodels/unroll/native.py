"""PyTorch's own kernels (cuDNN, oneDNN, ATen's loops), for the cells that they compute exactly."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.cells import Cell, ElmanCell, LSTMCell, ProjectedLSTMCell, ResetAfterGRUCell
from seqmodels.sequence import last_step, length_mask

_SATURATED = 1e4  # a sigmoid of it is exactly 1, of its negative exactly 0, in every dtype


class Native:
    """``torch.lstm``, ``torch.gru``, ``torch.rnn_tanh`` and ``torch.rnn_relu``, what ``torch.nn`` layers run.

    Ragged batches run padded, in one call, without sorting, packing or waiting for lengths: a packed LSTM leaves
    oneDNN and takes several times as long. Padding steps get an input column of their own whose weights hold the state
    where it is. Derivatives of second order exist in ``eager`` alone.
    """

    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        if type(cell) not in _KERNELS:  # of this very class: a subclass may have another step
            return f"PyTorch has no kernel for {type(cell).__name__}"
        if isinstance(cell, ElmanCell) and cell.activation not in _ELMAN_KERNELS:
            return f"PyTorch has kernels for ElmanCell with {' or '.join(_ELMAN_KERNELS)}, not {cell.activation}"
        if x.device.type not in ("cpu", "cuda"):
            return f"PyTorch's kernels were checked on cpu and cuda, not on {x.device.type}"
        on_one_dnn = x.device.type == "cpu" and x.dtype != torch.float64 and torch.backends.mkldnn.is_available()
        if isinstance(cell, ProjectedLSTMCell) and on_one_dnn:
            return f"oneDNN, PyTorch's kernel on the CPU in {x.dtype}, has no LSTM with projections"
        return None

    def __call__(self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
        kernel = _KERNELS[type(cell)]
        weights = kernel.weights(cell)
        hold = None if lengths is None else kernel.hold(cell)
        padding = None if lengths is None else ~length_mask(lengths, x.shape[1])[..., None]  # (batch, time, 1)
        if padding is not None and hold is not None:
            x = torch.cat([x, padding.to(x.dtype)], dim=-1)
            weights[0] = torch.cat([weights[0], hold[:, None]], dim=1)
        initial = tuple(leaf[None].contiguous() for leaf in state)  # (1, batch, hidden)
        y, *final = kernel.function(cell)(
            x,
            initial if len(initial) > 1 else initial[0],
            _in_one_piece(weights) if x.is_cuda else weights,
            True,  # biases
            1,  # layers
            0.0,  # dropout
            torch.is_grad_enabled(),  # whether cuDNN keeps what a backward pass needs; not the mode of the module
            False,  # bidirectional
            True,  # batch first
        )
        if padding is None:
            return y, type(state)(*(leaf[0] for leaf in final))
        # c, where there is one, has been held; h of a padding step was computed again, from that c and no input
        return y.masked_fill(padding, 0), type(state)(last_step(y, lengths), *(leaf[0] for leaf in final[1:]))


def _in_one_piece(weights: list[Tensor]) -> list[Tensor]:
    """Return the weights as views of one buffer, as cuDNN wants them: else it copies them and warns at every call."""
    buffer = torch.cat([weight.reshape(-1) for weight in weights])
    parts = buffer.split([weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]


class _Kernel(NamedTuple):
    function: Callable[[Any], Callable[..., Any]]
    weights: Callable[[Any], list[Tensor]]  # weight_ih, weight_hh and two biases, as torch orders them
    hold: Callable[[Any], Tensor | None]  # what a padding step adds to W x + b; None where any finite step will do


def _weights(cell: ElmanCell | LSTMCell) -> list[Tensor]:
    return [cell.weight_ih, cell.weight_hh, cell.bias, torch.zeros_like(cell.bias)]


def _projected_weights(cell: ProjectedLSTMCell) -> list[Tensor]:
    return [cell.weight_ih, cell.weight_hh, cell.bias, torch.zeros_like(cell.bias), cell.weight_hr]


def _reset_after_weights(cell: ResetAfterGRUCell) -> list[Tensor]:
    gates = cell.bias.new_zeros(2 * cell.hidden_size)
    return [cell.weight_ih, cell.weight_hh, cell.bias, torch.cat([gates, cell.bias_hn])]


def _hold_memory(cell: LSTMCell | ProjectedLSTMCell) -> Tensor:
    """Close i and open f: c stands still, exactly."""
    per_gate = cell.bias.new_tensor([-_SATURATED if gate == "i" else _SATURATED * (gate == "f") for gate in cell.gates])
    return per_gate.repeat_interleave(cell.hidden_size)


def _hold_elman(cell: ElmanCell) -> Tensor | None:
    """Switch relu off, which could grow without bound over a long padding."""
    return torch.full_like(cell.bias, -_SATURATED) if cell.activation == "relu" else None


_ELMAN_KERNELS: dict[str, Callable[..., Any]] = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}

_KERNELS: dict[type[Cell[Any]], _Kernel] = {
    ElmanCell: _Kernel(lambda cell: _ELMAN_KERNELS[cell.activation], _weights, _hold_elman),
    LSTMCell: _Kernel(lambda _: torch.lstm, _weights, _hold_memory),
    ProjectedLSTMCell: _Kernel(lambda _: torch.lstm, _projected_weights, _hold_memory),
    ResetAfterGRUCell: _Kernel(lambda _: torch.gru, _reset_after_weights, lambda _: None),
}
