"""Gradient flow through time of any cell, stack and direction, and a verdict on it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqmodels.cells import Cell
from seqmodels.inspection.jacobians import Array, JacobianNorms, jacobian_norms, lyapunov_exponent, to_array
from seqmodels.inspection.memory import half_life, memory_curve
from seqmodels.inspection.recording import Recording, recorded
from seqmodels.inspection.trajectories import flattened, named_leaves, where
from seqmodels.layers import Recurrent, SequenceLayer
from seqmodels.sequence import last_step, length_mask, map_leaves, unbind_steps

THRESHOLD = 1e3
"""A Jacobian over a whole sequence below 1 / 1000 is called vanishing, above 1000 exploding."""


class LayerFlow(NamedTuple):
    """Gradient flow through one cell of a network; time is in the order in which the cell reads."""

    name: str  # of the cell in the network
    reverse: bool  # whether it reads from the last step to the first
    lengths: np.ndarray[Any, np.dtype[np.int64]]  # (batch,)
    gradients: dict[
        str, Array
    ]  # by tensor of the state, norms of the gradient of the loss, (batch, time); NaN in padding
    jacobians: JacobianNorms
    exponents: Array  # (batch,)  largest Lyapunov exponents, in nats per step
    memory: Array  # (batch, time)  log10 of what arrives k steps back of the gradient of the last output
    half_lives: Array  # (batch,)  steps

    @property
    def log10_total(self) -> float:
        """Decimal logarithm of the norm of the Jacobian over the whole sequence, the median of the sequences."""
        rows = np.arange(len(self.lengths))
        whole = self.jacobians.log10[rows, np.searchsorted(self.jacobians.steps_back, self.lengths, "right") - 1]
        return float(np.median(whole))

    def verdict(self, threshold: float = THRESHOLD) -> str:
        """Return ``vanishing``, ``exploding`` or ``healthy``, by the Jacobian over the whole sequence.

        Args:
            threshold: the norm above which gradients explode; below its inverse they vanish.
        """
        if not self.log10_total <= np.log10(threshold):
            return "exploding"
        return "vanishing" if self.log10_total < -np.log10(threshold) else "healthy"

    def sentence(self, threshold: float = THRESHOLD) -> str:
        """Return the verdict in words, with the numbers and the threshold it rests on."""
        steps = int(np.median(self.lengths))
        bounds = f"vanishing below {1 / threshold:.0e}, exploding above {threshold:.0e}"
        return (
            f"{self.name}: {self.verdict(threshold)}. Over {steps} steps the Jacobian has norm "
            f"1e{self.log10_total:+.1f} ({bounds}); the gradient of the loss "
            f"{self._halving()}, and the largest Lyapunov exponent is {float(np.median(self.exponents)):+.3g} per step."
        )

    def _halving(self) -> str:
        known = self.half_lives[~np.isnan(self.half_lives)]
        if not len(known):
            return "reaches one step of reading at most"
        steps = float(np.median(known))
        return f"halves every {steps:.3g} steps" if np.isfinite(steps) else "does not shrink"


def gradient_flow(
    module: nn.Module, x: Tensor, lengths: Tensor | None = None, *, loss: Callable[[Any], Tensor] | None = None
) -> list[LayerFlow]:
    """Return how gradients flow through time in every cell of a module, computed in float64.

    Args:
        module: a cell, a layer, a stack or a network that is called ``module(x)``, with lengths ``module(x, lengths)``.
        x: its input, padded at the end, such as ``(batch, time, input)``.
        lengths: number of real steps of each sequence, ``(batch,)``; all steps are real by default.
        loss: of what the module returns (of a layer, its outputs); by default the outputs of the last real step,
            weighted at random.

    Returns:
        One result for each cell, in the order in which they run, those of a stack from below.

    Raises:
        ValueError: no cell of this package's kind ran over at least one step inside the module.

    Example:
        >>> from seqmodels.cells import ElmanCell
        >>> _ = torch.manual_seed(0)
        >>> (flow,) = gradient_flow(ElmanCell(3, 8), torch.randn(2, 100, 3))
        >>> flow.verdict(), bool(flow.log10_total < -10)
        ('vanishing', True)
    """
    return [flow_of(each) for each in gradients_through(module, x, lengths, loss=loss)]


def gradient_norms(
    module: nn.Module, x: Tensor, lengths: Tensor | None = None, *, loss: Callable[[Any], Tensor] | None = None
) -> dict[str, dict[str, Array]]:
    r"""Return :math:`\\lVert \\partial L / \\partial h_t \\rVert` of each cell, sequence and step, in float64.

    The derivatives are total ones, those that autograd gives for the tensors of a state, h and c of an LSTM each for
    itself. They begin with the state after the first step, in the order in which the cell reads.

    Args:
        module, x, lengths, loss: as in :func:`gradient_flow`.

    Returns:
        By the name of the cell and that of the tensor, norms ``(batch, time)``; NaN in the padding.

    Raises:
        ValueError: as in :func:`gradient_flow`.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> from seqmodels.layers import Recurrent
        >>> norms = gradient_norms(Recurrent(LSTMCell(3, 4)), torch.randn(2, 5, 3), torch.tensor([5, 2]))
        >>> {field: each.shape for field, each in norms["cell"].items()}
        {'h': (2, 5), 'c': (2, 5)}
    """
    return {each.name: state_gradients(each) for each in gradients_through(module, x, lengths, loss=loss)}


def gradients_through(
    module: nn.Module, x: Tensor, lengths: Tensor | None, *, loss: Callable[[Any], Tensor] | None
) -> list[Recording]:
    """Return the recordings of a module in evaluation mode, with the gradients of a loss; see :func:`gradient_flow`."""
    layer = Recurrent(module) if isinstance(module, Cell) else module
    x = x.detach().requires_grad_(True) if x.is_floating_point() else x

    def total() -> Tensor:
        if isinstance(layer, SequenceLayer):
            output: Any = layer(x, None, lengths)[0]
        else:
            output = layer(x) if lengths is None else layer(x, lengths)
        return _last_output(output, lengths) if loss is None else loss(output)

    return backward_through(module, total, [x] if x.requires_grad else [])


def backward_through(module: nn.Module, loss: Callable[[], Tensor], inputs: Sequence[Tensor] = ()) -> list[Recording]:
    """Run a loss and its backward pass with a module in evaluation mode; return recordings with their gradients.

    Neither ``grad`` of the parameters nor their modes change.

    Args:
        module: the network, which names the cells.
        loss: computes the loss with it.
        inputs: further tensors that the loss depends on.

    Raises:
        ValueError: as in :func:`gradient_flow`.
    """
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with recorded(module) as recordings, torch.enable_grad():
            total = loss()
        wanted = [*inputs, *(parameter for parameter in module.parameters() if parameter.requires_grad)]
        torch.autograd.grad(total, wanted, allow_unused=True)
    finally:
        for part, mode in modes.items():
            part.training = mode
    return over_time(recordings)


def over_time(recordings: Sequence[Recording]) -> list[Recording]:
    """Return the recordings of more than one step, each sequence in a row of its own, with names that differ.

    Raises:
        ValueError: there is none.
    """
    several = [each.sequences() for each in recordings if each.x.shape[1] > 1]
    if not several:
        steps = " over more than one step at a time" if recordings else ""
        raise ValueError(f"no seqmodels cell ran{steps} inside the module, so there is no gradient through time to see")
    seen: dict[str, int] = {}
    for each in several:
        seen[each.name] = seen.get(each.name, 0) + 1
        if seen[each.name] > 1:
            each.name = f"{each.name} (call {seen[each.name]})"
    return several


def flow_of(recording: Recording) -> LayerFlow:
    """Return the gradient flow of one recording."""
    found = recording.trajectory(torch.float64)
    output, state = recording.output_gradient, recording.final_gradient()
    curve = memory_curve(found, output, state)
    return LayerFlow(
        recording.name,
        recording.reverse,
        recording.lengths.cpu().numpy(),
        state_gradients(recording),
        jacobian_norms(found),
        lyapunov_exponent(found),
        curve,
        half_life(curve),
    )


def state_gradients(recording: Recording) -> dict[str, Array]:
    """Return the norms of the total derivatives of the loss for each tensor of the state, ``(batch, time)``."""
    found = recording.trajectory(torch.float64)
    lengths, cell, first = found.lengths, found.cell, found.states[0]
    zero = found.outputs[0].new_zeros(()).requires_grad_(True)  # so that a step that reads no state has a graph, too
    state, after, outputs = first, [], []
    real = length_mask(lengths, len(found.outputs))  # (batch, time)
    with torch.enable_grad(), torch.autocast(zero.device.type, enabled=False):
        for step, wx in enumerate(unbind_steps(found.projected)):
            wx = map_leaves(lambda leaf: leaf + zero if leaf.is_floating_point() else leaf, wx)  # noqa: PLW2901
            output, new = cell.step(wx, state)
            state = where(real[:, step], new, state)
            outputs.append(output)
            after.append([leaf for _, leaf in named_leaves(new)])
        total = zero + 0
        if recording.output_gradient is not None:
            given = recording.output_gradient.to(zero).masked_fill(~real[..., None], 0)
            total = total + (torch.stack(outputs, dim=1) * given).sum()
        if (final := recording.final_gradient()) is not None:
            total = total + (flattened(state) * final.to(zero)).sum()
        tensors = [leaf for step in after for leaf in step]
        gradients = torch.autograd.grad(total, tensors, allow_unused=True)
    norms = [
        leaf.new_zeros(len(leaf)) if gradient is None else gradient.flatten(1).norm(dim=1)
        for leaf, gradient in zip(tensors, gradients, strict=True)
    ]
    by_step = torch.stack(norms).view(len(after), -1, len(lengths))  # (time, fields, batch)
    by_step = by_step.masked_fill(~real.T[:, None], torch.nan)
    return {name: to_array(by_step[:, place].T) for place, name in enumerate(found.fields)}


def _last_output(output: Any, lengths: Tensor | None) -> Tensor:
    """Return the outputs of the last real step, of every row in the same random direction."""
    y = output[0] if isinstance(output, tuple) else output
    if y.dim() > 2:
        y = last_step(y, lengths)
    direction = torch.randn(y[0].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    total: Tensor = (y * direction.to(y)).sum()
    return total
