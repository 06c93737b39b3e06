"""Every gate and state of every recurrent layer of a network over a batch of sequences."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.inspection.gates.activations import Range, flat_steps, gate_values, named_states
from seqmodels.inspection.recording import Recording, recorded
from seqmodels.sequence import length_mask, reverse


class LayerTrace(NamedTuple):
    """Gates and states of one cell over ``(batch, time)``, in the order of the input, 0 past a sequence's length."""

    name: str  # where the cell is in the network, such as "recurrent.layers.0.cell"
    gates: dict[str, Tensor]  # by name, (batch, time, units)
    states: dict[str, Tensor]  # by name, (batch, time, units), after each step
    ranges: dict[str, Range]  # of each gate
    refused: dict[str, str]  # gates without values, and why
    lengths: Tensor  # (batch,)
    reverse: bool  # whether the cell reads from the last step to the first


def traces(module: nn.Module, *inputs: Any, **options: Any) -> list[LayerTrace]:
    """Run a network and return the gates and states of its recurrent layers, in the order in which they run.

    Nothing in the network changes: it runs on its usual back-ends, and copies of its cells are run again step by step.
    A layer that runs several times, such as a decoder, is traced the first time.

    Args:
        module: any module with recurrent layers, in evaluation mode.
        inputs, options: arguments of its call.

    Raises:
        ValueError: the module is in training mode, or runs no recurrent layer.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> from seqmodels.layers import Recurrent
        >>> (trace,) = traces(Recurrent(LSTMCell(4, 5)).eval(), torch.zeros(3, 7, 4))
        >>> list(trace.gates), trace.gates["f"].shape, trace.states["c"].shape
        (['i', 'f', 'g', 'o'], torch.Size([3, 7, 5]), torch.Size([3, 7, 5]))
    """
    if module.training:
        raise ValueError("the module must be in evaluation mode: call eval() first")
    with recorded(module) as recordings, torch.no_grad():
        module(*inputs, **options)
    if not recordings:
        raise ValueError(f"{type(module).__name__} runs no recurrent layer")
    return traces_of(recordings)


def traces_of(recordings: Iterable[Recording]) -> list[LayerTrace]:
    """Return the gates and states of recordings (:func:`~seqmodels.inspection.recorded`), of each cell the first.

    Raises:
        ValueError: rows start again within a recording.
    """
    first: dict[str, Recording] = {}
    for recording in recordings:
        first.setdefault(recording.name, recording)
    return [_trace(recording) for recording in first.values()]


def _trace(recording: Recording) -> LayerTrace:
    run = recording.trajectory()
    found = gate_values(run.cell, *flat_steps(recording.x, run.states[:-1]))
    shape = recording.x.shape[:2]
    return LayerTrace(
        recording.name,
        {gate: _ordered(values.unflatten(0, shape), recording) for gate, values in found.values.items()},
        {name: _ordered(values, recording) for name, values in named_states(run.states[1:]).items()},
        found.ranges,
        found.refused,
        recording.lengths,
        recording.reverse,
    )


def _ordered(values: Tensor, recording: Recording) -> Tensor:
    """Return values in the order of the input, with zeros in the padding."""
    if recording.reverse:
        values = reverse(values, recording.lengths)
    past = ~length_mask(recording.lengths.to(values.device), values.shape[1])
    return values.masked_fill(past.view(*past.shape, *[1] * (values.dim() - 2)), 0)
