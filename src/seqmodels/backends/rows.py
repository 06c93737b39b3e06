"""Projections and states as the rows that a program runs on, and back."""

from typing import Any

import torch
from torch import Tensor

from seqmodels.errors import Refused
from seqmodels.sequence import leaves, map_leaves


def streams(projected: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Return the leaves of a projection as streams ``(batch, time, width)`` of a program."""
    return [leaf.reshape(leaf.shape[0], leaf.shape[1], -1).to(dtype) for leaf in projected]


def carries(state: Any, dtype: torch.dtype) -> list[Tensor]:
    """Return the leaves of a state as carries ``(batch, width)`` of a program; none of None."""
    return [] if state is None else [leaf.reshape(leaf.shape[0], -1).to(dtype) for leaf in leaves(state)]


def of_type(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor != 0 if dtype == torch.bool else tensor


def in_one_dtype(wx: Any, state: Any, restart: Any, *, mixed: bool) -> tuple[Any, Any, Any]:
    """Return a projection, a state and maybe another one in the widest of their types where autocast mixes them."""
    tensors = [*leaves(wx), *leaves(state), *leaves(() if restart is None else restart)]
    if odd := [leaf for leaf in tensors if not isinstance(leaf, Tensor)]:
        raise Refused(f"a {type(odd[0]).__name__} where project and the fields of a state should have tensors")
    real = [leaf.dtype for leaf in tensors if leaf.is_floating_point()]
    if not mixed or len(set(real)) < 2:
        return wx, state, restart
    widest = real[0]
    for dtype in real[1:]:
        widest = torch.promote_types(widest, dtype)

    def widened(leaf: Tensor) -> Tensor:
        return leaf.to(widest) if leaf.is_floating_point() else leaf

    restart = None if restart is None else map_leaves(widened, restart)
    return map_leaves(widened, wx), map_leaves(widened, state), restart


def either(state: Any, restart: Any) -> Any:
    """Return a state whose leaves want a gradient where one of the two wants one: steps must hand it on for both."""
    if restart is None:
        return state
    return map_leaves(lambda one, other: one if one.requires_grad else other, state, restart)


def check_projected(wx: Any, x: Tensor) -> None:
    """Raise unless every leaf of a projection is a tensor ``(batch, time, ...)`` on the device of ``x``."""
    for leaf in leaves(wx):
        if type(leaf) not in (Tensor, torch.nn.Parameter):
            raise Refused(f"project returned a {type(leaf).__name__} among its tensors")
        if leaf.shape[:2] != x.shape[:2] or leaf.device != x.device:
            want = f"({x.shape[0]}, {x.shape[1]}, ...) on {x.device}"
            raise Refused(f"project returned a tensor {tuple(leaf.shape)} on {leaf.device}, not {want}")
