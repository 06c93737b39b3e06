"""A cell's states over a sequence, and products with the Jacobians of its steps."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.cells import Cell
from seqmodels.sequence import Fixed, length_mask, map_leaves, unbind_steps


@dataclass(frozen=True)
class Trajectory:
    """What a cell computed over a batch of sequences, step by step, in the order of reading."""

    cell: Cell[Any]
    projected: Any
    """What ``cell.project`` returned, leaves ``(batch, time, ...)``."""
    states: list[Any]
    """The state before the first step, then that after each step; past a length it stands still."""
    outputs: list[Tensor]
    """The output of each step, ``(batch, output)``."""
    lengths: Tensor
    """Number of real steps of each sequence, ``(batch,)``."""

    @property
    def fields(self) -> list[str]:
        """Names of the tensors of a state that have derivatives, such as ``h`` and ``c``."""
        return [name for name, _ in named_leaves(self.states[0])]

    @property
    def state_size(self) -> int:
        """Numbers in the state of one sequence, of all its tensors together."""
        return sum(leaf[0].numel() for _, leaf in named_leaves(self.states[0]))

    def before(self, step: Tensor) -> tuple[Any, Any]:
        """Return projected inputs and states before a step of its own for each row, ``step (batch,)`` from 0 on."""
        rows = torch.arange(len(step), device=step.device)
        wx = map_leaves(lambda leaf: leaf[rows, step], self.projected)
        return wx, map_leaves(lambda leaf: leaf[step, rows], self._stacked)

    @cached_property
    def _stacked(self) -> Any:
        """All states, leaves ``(time + 1, batch, ...)``."""
        return map_leaves(lambda *each: torch.stack(each), *self.states)

    def pull_back(self, step: Tensor, cotangent: Tensor, *, output: Tensor | None = None, copies: int = 1) -> Tensor:
        """Multiply row vectors by the Jacobian of a step: vector-Jacobian products.

        Args:
            step: index of the step of each row, ``(batch,)``.
            cotangent: with respect to the state after it, ``(batch * copies, state)``, all tensors of a state in a row.
            output: with respect to its output, ``(batch * copies, output)``; none by default.
            copies: how many vectors each sequence has, one after the other.

        Returns:
            With respect to the state before the step, in the shape of ``cotangent``.
        """
        wx, state = self._repeated(step, copies)
        with torch.enable_grad(), torch.autocast(cotangent.device.type, enabled=False):
            flat = flattened(state).requires_grad_(True)
            y, after = self.cell.step(wx, unflattened(flat, state))
            total = (flattened(after) * cotangent).sum()
            total = total if output is None else total + (y * output).sum()
            if not total.requires_grad:  # the step does not read the state
                return torch.zeros_like(flat)
            (gradient,) = torch.autograd.grad(total, flat, allow_unused=True)
        return torch.zeros_like(cotangent) if gradient is None else gradient

    def push_forward(self, step: Tensor, tangent: Tensor, *, copies: int = 1) -> Tensor:
        """Multiply the Jacobian of a step by column vectors: Jacobian-vector products.

        They are derivatives of vector-Jacobian products, since every operator with a derivative has those, and
        PyTorch's forward mode takes seconds to start.

        Args:
            step: index of the step of each row, ``(batch,)``.
            tangent: with respect to the state before it, ``(batch * copies, state)``.
            copies: how many vectors each sequence has, one after the other.

        Returns:
            With respect to the state after the step, in the same shape.
        """
        wx, state = self._repeated(step, copies)
        with torch.enable_grad(), torch.autocast(tangent.device.type, enabled=False):
            flat, free = flattened(state).requires_grad_(True), torch.zeros_like(tangent, requires_grad=True)
            _, after = self.cell.step(wx, unflattened(flat, state))
            (back,) = torch.autograd.grad((flattened(after) * free).sum(), flat, create_graph=True, allow_unused=True)
            if back is None or not back.requires_grad:  # the step does not read the state
                return torch.zeros_like(tangent)
            (moved,) = torch.autograd.grad((back * tangent).sum(), free, allow_unused=True)
        return torch.zeros_like(tangent) if moved is None else moved

    def _repeated(self, step: Tensor, copies: int) -> tuple[Any, Any]:
        wx, state = self.before(step)
        if copies == 1:
            return wx, state
        repeat = partial(torch.repeat_interleave, repeats=copies, dim=0)
        return map_leaves(repeat, wx), map_leaves(repeat, state)


def trajectory(
    cell: Cell[Any], x: Tensor, lengths: Tensor | None = None, state: Any = None, *, dtype: torch.dtype | None = None
) -> Trajectory:
    """Return all states of a cell over a batch of sequences, computed by its own ``project`` and ``step``.

    The cell runs in evaluation mode, as a copy, so that nothing of it changes.

    Args:
        cell: any :class:`~seqmodels.cells.Cell`, wrappers included.
        x: ``(batch, time, input)``, padded at the end.
        lengths: number of real steps of each sequence, ``(batch,)``; all steps are real by default.
        state: the state before the first step; the initial state by default.
        dtype: of the computation; that of ``x`` by default.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> found = trajectory(LSTMCell(4, 5), torch.zeros(3, 7, 4))
        >>> len(found.states), found.fields, found.state_size
        (8, ['h', 'c'], 10)
    """
    dtype = dtype or x.dtype
    x = x.to(dtype)
    whole = _copied(cell, dtype).eval()
    cell = whole.effective()  # its initial state may not be that of a wrapper, which may be learned
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        given = whole.initial_state(x[:, 0]) if state is None else state
        state = map_leaves(partial(_cast, dtype=dtype), given)
        lengths = torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths.to(x.device)
        projected = cell.project(x)
        states, outputs = [state], []
        real = length_mask(lengths, x.shape[1])
        for step, wx in enumerate(unbind_steps(projected)):
            output, after = cell.step(wx, state)
            state = where(real[:, step], after, state)
            states.append(state)
            outputs.append(output)
    return Trajectory(cell, projected, states, outputs, lengths)


def named_leaves(state: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the floating-point tensors of a state with their names, ``h``, or ``inner.h`` in a nested one."""
    if isinstance(state, Tensor):
        if state.is_floating_point():
            yield prefix or "state", state
        return
    if isinstance(state, tuple) and not isinstance(state, Fixed):
        for field, part in zip(getattr(state, "_fields", range(len(state))), state, strict=True):
            yield from named_leaves(part, f"{prefix}.{field}" if prefix else str(field))


def flattened(state: Any) -> Tensor:
    """Return the floating-point tensors of a state side by side, ``(batch, state)``."""
    return torch.cat([leaf.flatten(1) for _, leaf in named_leaves(state)], dim=1)


def unflattened(flat: Tensor, like: Any) -> Any:
    """Return a state with the numbers of ``flat (batch, state)``, in the structure of another."""
    sizes = [leaf[0].numel() for _, leaf in named_leaves(like)]
    parts = iter(flat.split(sizes, dim=1))
    return map_leaves(lambda leaf: next(parts).view_as(leaf) if leaf.is_floating_point() else leaf, like)


def where(rows: Tensor, one: Any, other: Any) -> Any:
    """Return a state that is ``one`` in the rows ``(batch,)`` that are true, ``other`` in the rest."""
    return map_leaves(lambda a, b: torch.where(rows.view(-1, *[1] * (a.dim() - 1)), a, b), one, other)


def random_directions(like: Any, size: int, seed: int) -> Tensor:
    """Return a random direction for each row of a state or output, ``(batch, size)``, from a generator of its own."""
    _, leaf = next(named_leaves(like))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(leaf), size, generator=generator, dtype=leaf.dtype).to(leaf.device)


def _copied(cell: Cell[Any], dtype: torch.dtype) -> Cell[Any]:
    """Return a copy of a cell that needs no gradients; its tensors may be results, as those of a bound cell are."""
    memo: dict[int, Any] = {}
    for module in cell.modules():
        for held in (*module.__dict__.values(), *module._parameters.values(), *module._buffers.values()):
            if isinstance(held, Tensor):
                copied = _cast(held.detach().clone(), dtype)
                memo[id(held)] = nn.Parameter(copied, requires_grad=False) if isinstance(held, nn.Parameter) else copied
    return copy.deepcopy(cell, memo)


def _cast(leaf: Tensor, dtype: torch.dtype) -> Tensor:
    return leaf.to(dtype) if leaf.is_floating_point() else leaf
