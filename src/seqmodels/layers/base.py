"""The signature that all sequence layers share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic

from torch import Tensor, nn

from seqmodels.cells.base import State


class SequenceLayer(nn.Module, ABC, Generic[State]):
    """Base of layers that map ``x (batch, time, input)`` to ``y (batch, time, output)``, 0 past a sequence's length.

    Subclass it to write a layer that stacks with all others: set the two sizes and define :meth:`forward`.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> from seqmodels.layers import Recurrent
        >>> layer: SequenceLayer = Recurrent(GRUCell(4, 5))
        >>> y, state = layer(torch.zeros(3, 7, 4), lengths=torch.tensor([7, 2, 5]))
        >>> y.shape, state.h.shape
        (torch.Size([3, 7, 5]), torch.Size([3, 5]))
    """

    input_size: int
    output_size: int
    backward_size: int = 0
    """How many of the last output features come from a layer that reads backwards: these have seen the whole sequence
    at step 0, not at the last step."""

    if TYPE_CHECKING:

        def __call__(
            self, x: Tensor, state: State | None = None, lengths: Tensor | None = None, *, resets: Tensor | None = None
        ) -> tuple[Tensor, State]: ...

    @abstractmethod
    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Run the layer over a batch of sequences.

        The layers of this package also take ``resets=``, for several sequences in one row: bool ``(batch, time)``, true
        at the first step of each, whichever way a layer reads. Each sequence then starts from the initial state, and
        its outputs do not depend on the others. Only what is read first starts from ``state`` where one is given: the
        steps before a row's first flag, or, read backwards, a row's last sequence. A layer of your own takes ``resets``
        where it is to be used with them.

        Args:
            x: ``(batch, time, input)``, padded at the end.
            state: the state before the first step; the initial state by default.
            lengths: number of real steps of each sequence, ``(batch,)``; all steps are real by default.

        Returns:
            Outputs ``(batch, time, output)``, and the state after each sequence's last real step: ``()`` for a layer
            that carries none.
        """


def run_layer(
    layer: Callable[..., tuple[Tensor, State]],
    x: Tensor,
    state: State | None,
    lengths: Tensor | None,
    resets: Tensor | None,
) -> tuple[Tensor, State]:
    """Call a layer, one that takes no ``resets`` included if there are none."""
    return layer(x, state, lengths) if resets is None else layer(x, state, lengths, resets=resets)


def states_of(state: Any, count: int, rule: str) -> tuple[Any, ...]:
    """Return ``state``, one part for each of ``count`` layers; if it is None, that many times None.

    Raises:
        ValueError: it is not a tuple of ``count`` parts; ``rule`` says what they are.
    """
    if state is None:
        return (None,) * count
    if isinstance(state, tuple) and len(state) == count:
        return state
    outline = f"{type(state).__name__} of {len(state)}" if isinstance(state, tuple) else type(state).__name__
    raise ValueError(f"state must be a tuple of {rule}, got {outline}")
