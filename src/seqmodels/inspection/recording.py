"""Record what the cells inside a network run over, whatever the network does around them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.backends import Unrolling, watching
from seqmodels.cells import Cell
from seqmodels.inspection.trajectories import Trajectory, trajectory, where
from seqmodels.sequence import leaves, length_mask, map_leaves


@dataclass
class Recording:
    """One unrolling of a cell inside a network. Time is in the order of reading: reversed if ``reverse``."""

    name: str
    """Dotted name of the cell in the network; its class if the network holds it under no name."""
    cell: Cell[Any]
    x: Tensor
    """Inputs ``(batch, time, input)``, 0 past a length."""
    state: Any
    """The state before the first step."""
    lengths: Tensor
    """Number of real steps of each sequence, ``(batch,)``."""
    reverse: bool
    resets: Tensor | None = None
    """Where rows start again, bool ``(batch, time)``; None if none does."""
    restart: Any = None
    """The state that they start again from."""
    output_gradient: Tensor | None = None
    """Gradient of the loss with respect to the outputs, ``(batch, time, output)``; None before ``backward``."""
    state_gradient: list[Tensor | None] | None = None
    """Gradient of the loss with respect to the leaves of the final state, where the network reads it."""

    def final_gradient(self) -> Tensor | None:
        """Return :attr:`state_gradient` as ``(batch, state)``, of the floating-point tensors; None if all are None."""
        given = self.state_gradient or []
        if all(gradient is None for gradient in given):
            return None
        pairs = zip(leaves(self.state), given, strict=True)
        parts = [torch.zeros_like(leaf) if part is None else part for leaf, part in pairs if leaf.is_floating_point()]
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    def trajectory(self, dtype: torch.dtype | None = None) -> Trajectory:
        """Return all states of this unrolling; see :func:`~seqmodels.inspection.trajectory`.

        Raises:
            ValueError: rows start again within the recording.
        """
        if self.resets is not None:
            raise ValueError(f"{self.name}: rows start again (resets=), so they have no single trajectory; "
                             "sequences() gives each sequence a row of its own")  # fmt: skip
        return trajectory(self.cell, self.x, self.lengths, self.state, dtype=dtype)

    def sequences(self) -> "Recording":
        """Return this recording with a row for each sequence; itself if no row starts again.

        Example:
            >>> from seqmodels.cells import GRUCell
            >>> from seqmodels.layers import Recurrent
            >>> layer = Recurrent(GRUCell(4, 5))
            >>> with recorded(layer) as recordings:
            ...     _ = layer(torch.zeros(1, 3, 4), resets=torch.tensor([[False, True, False]]))
            >>> recordings[0].sequences().lengths
            tensor([1, 2])
        """
        if self.resets is None:
            return self
        starts = self.resets & length_mask(self.lengths, self.resets.shape[1])
        again = starts.clone()
        starts[:, 0] = True
        row, first = starts.nonzero(as_tuple=True)
        last = torch.cat([row[1:] != row[:-1], row.new_ones(1).bool()])  # whether a sequence is the last of its row
        lengths = torch.where(last, self.lengths[row], first.roll(-1)) - first
        step = torch.arange(int(lengths.max()), device=row.device)
        real = step < lengths[:, None]

        def by_sequence(values: Tensor) -> Tensor:
            return values[row[:, None], first[:, None] + step * real] * real[..., None]

        def of_rows(state: Any) -> Any:
            return map_leaves(lambda leaf: leaf[row], state)

        def of_last(gradient: Tensor | None) -> Tensor | None:
            return None if gradient is None else where(last, gradient[row], torch.zeros_like(gradient[row]))

        return replace(
            self,
            x=by_sequence(self.x),
            state=where(again[row, first], of_rows(self.restart), of_rows(self.state)),
            lengths=lengths,
            resets=None,
            restart=None,
            output_gradient=None if self.output_gradient is None else by_sequence(self.output_gradient),
            state_gradient=self.state_gradient and list(map(of_last, self.state_gradient)),
        )


@contextmanager
def recorded(module: nn.Module) -> Iterator[list[Recording]]:
    """Record every unrolling of a cell inside the block, by any layer or network; nothing else changes.

    The network runs on its usual back-ends and yields the same numbers. If ``backward`` runs, the recordings also hold
    the gradients of the loss with respect to outputs and final states. Graphs of ``torch.compile`` are not recorded.

    Args:
        module: the network, which names the cells.

    Returns:
        The recordings, in the order of the calls; the list fills as the network runs.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> from seqmodels.layers import recurrent_stack
        >>> stack = recurrent_stack(GRUCell, 4, hidden_sizes=[5, 6])
        >>> with recorded(stack) as recordings:
        ...     y, state = stack(torch.zeros(3, 7, 4), lengths=torch.tensor([7, 2, 5]))
        >>> [(each.name, tuple(each.x.shape)) for each in recordings]
        [('layers.0.cell', (3, 7, 4)), ('layers.1.cell', (3, 7, 5))]
    """
    names = {id(part): name for name, part in module.named_modules()}
    recordings: list[Recording] = []

    def watch(call: Unrolling) -> tuple[Tensor, Any]:
        y, final = call.run()
        lengths = call.lengths
        if lengths is None:
            lengths = torch.full((len(call.x),), call.x.shape[1], device=call.x.device)
        name = names.get(id(call.cell)) or type(call.cell).__name__
        if id(call.cell) not in names:  # a cell that a layer makes for each call, as those of seqmodels.nn do
            name = f"{name}[{sum(id(each.cell) not in names for each in recordings)}]"
        state = map_leaves(torch.Tensor.detach, call.state)
        restart = None if call.resets is None else map_leaves(torch.Tensor.detach, call.restart)
        recording = Recording(name, call.cell, call.x.detach(), state, lengths, call.reverse, call.resets, restart)
        recordings.append(recording)
        return _hooked(recording, y, final)

    with watching(watch):
        yield recordings


def _hooked(recording: Recording, y: Tensor, final: Any) -> tuple[Tensor, Any]:
    """Let ``backward`` store the gradients of what an unrolling returns.

    Hooks are set on views: an output may be the very tensor that is also part of the final state.
    """

    def keep_output(gradient: Tensor) -> None:
        recording.output_gradient = gradient.detach()

    if y.requires_grad:
        y = y.view_as(y)
        y.register_hook(keep_output)
    gradients: list[Tensor | None] = [None] * len(leaves(final))
    recording.state_gradient = gradients
    index = iter(range(len(gradients)))

    def keep_state(leaf: Tensor) -> Tensor:
        place = next(index)
        if not leaf.requires_grad:
            return leaf
        leaf = leaf.view_as(leaf)
        leaf.register_hook(lambda gradient: gradients.__setitem__(place, gradient.detach()))
        return leaf

    return y, map_leaves(keep_state, final)
