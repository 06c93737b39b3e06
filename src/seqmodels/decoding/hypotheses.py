"""What searches return, and the rows of a state that they select."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.sequence import Fixed, Shared, map_leaves

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""From the last token of each hypothesis, ``(rows,)``, and a state to log-probabilities ``(rows, vocab)`` of the next
token, and the state after it. The hypotheses of one sequence are rows side by side; a state is a nested tuple of
tensors with a row for each of them, but for :class:`~seqmodels.sequence.Shared` ones, with a row for each sequence."""


class Hypothesis(NamedTuple):
    """A sequence that a search wrote."""

    tokens: list[int]  # without the token that starts and the one that ends it
    score: float  # what hypotheses are ranked by: log_prob with the penalties of the search
    log_prob: float  # of all tokens, the one that ends it included
    complete: bool  # false: cut off at the largest length


def limits_of(start: Tensor, max_length: int | Tensor) -> Tensor:
    """Return the largest length for each row of ``start (batch,)``.

    Raises:
        ValueError: ``start`` is not one whole number a row, or ``max_length`` is not one, or one a row, of at least 1.
    """
    if start.dim() != 1 or len(start) == 0 or start.is_floating_point():
        raise ValueError(f"start must be a token for each row, (batch,), got {start.dtype} {tuple(start.shape)}")
    if not isinstance(max_length, Tensor):
        max_length = start.new_full(start.shape, max_length)
    if max_length.shape != start.shape:
        raise ValueError(f"max_length must have shape ({len(start)},), one a row, got {tuple(max_length.shape)}")
    if int(max_length.min()) < 1:
        row = int(max_length.argmin())
        raise ValueError(f"max_length must be at least 1, got {int(max_length[row])} in row {row}")
    return max_length.to(start.device)


def repeated(state: Any, times: int) -> Any:
    """Return a state with a row for each sequence as one with ``times`` hypotheses for each."""
    return _map_rows(lambda leaf: leaf.repeat_interleave(times, dim=0), lambda leaf: leaf, state)


def selected(state: Any, rows: Tensor, sequences: Tensor | None) -> Any:
    """Return some ``rows`` of a state, and of what is shared some ``sequences``, by default all."""

    def shared(leaf: Tensor) -> Tensor:
        return leaf if sequences is None else leaf.index_select(0, sequences)

    return _map_rows(lambda leaf: leaf.index_select(0, rows), shared, state)


def _map_rows(own: Callable[[Tensor], Tensor], shared: Callable[[Tensor], Tensor], tree: Any) -> Any:
    if isinstance(tree, Shared):
        return Shared(map_leaves(shared, tree.value))
    if isinstance(tree, Fixed):
        return tree
    if not isinstance(tree, tuple):
        return own(tree)
    parts = [_map_rows(own, shared, part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def summed_in(log_probs: Tensor) -> torch.dtype:
    """Return the type in which log-probabilities are added up: float32 for shorter ones."""
    return torch.promote_types(log_probs.dtype, torch.float32)
