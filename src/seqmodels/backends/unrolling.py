"""``unroll``: running a cell over a sequence with the back-end of a name, or the fastest."""

import logging
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.backends.arguments import checked_lengths, checked_resets, checked_state, checked_x, resets_within
from seqmodels.backends.backend import Backend, Projection
from seqmodels.backends.eager import Eager
from seqmodels.backends.fused import Fused
from seqmodels.backends.native import Native
from seqmodels.backends.scan import Scan
from seqmodels.backends.watching import Unrolling, watcher
from seqmodels.cells import Cell, LSTMCell
from seqmodels.cells.base import State, run_inner_pre_hooks
from seqmodels.cells.hooks import call, has_hooks
from seqmodels.errors import Refused, UnsupportedContext, nearest
from seqmodels.fusion.choice import has_cpp_kernels, has_cuda_kernels
from seqmodels.sequence import length_mask
from seqmodels.sequence import reverse as reverse_time

BACKENDS: dict[str, Backend] = {"native": Native(), "fused": Fused(), "scan": Scan(), "eager": Eager()}
log = logging.getLogger("seqmodels")

TINY = 2**14
"""Below this product of batch, time and hidden size, compiling a kernel costs more than it saves."""

FEW_ROWS = 8
"""From this many padded rows on, inference of an LSTM on the CPU is fused: oneDNN reads the padding, too."""

FEW_STEPS = 64
"""Below this many steps a call on a GPU takes as long as its host needs to launch it."""

PERSISTENT = 256
"""Below this hidden size, or in float16, cuDNN keeps weights on the chip; it has no such kernel for bfloat16."""

WIDEST = 1024
"""Largest hidden size that was measured on a GPU."""


def unroll(
    cell: Cell[State],
    x: Tensor,
    state: State | None = None,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, State]:
    """Run ``cell`` over sequences that are padded at the end.

    Past a sequence's length its output is 0 and its state stays as it is, so that the
    final state is the one after its last real step; what the padding holds, NaN included, has no effect.

    With ``resets`` one row holds several sequences, one after the other: documents packed into rows, episodes of a
    policy. Outputs, final state and gradients are those of the sequences run apart. A row starts from ``state``, and
    from each of its flags on again from the cell's initial state. So windows of a text and rollouts of a policy carry
    their state on: give each the final state of the one before. What a wrapper draws once for a sequence, such as the
    mask of :class:`~seqmodels.cells.RecurrentDropout`, is drawn once for a row.

    Hooks of ``cell`` run once, as in a call of ``torch.nn.GRU``: forward pre-hooks get ``(cell, (x, state))``, forward
    hooks ``(cell, (x, state), (y, final state))``, and what they return replaces it; backward hooks get the gradients
    of ``x`` and ``y``. So ``spectral_norm``, ``weight_norm`` and ``prune`` of ``torch.nn.utils`` work with every
    back-end. Of the cells inside a wrapper only the forward pre-hooks run, which get the same and must return None.

    Args:
        cell: any :class:`~seqmodels.cells.Cell`.
        x: inputs ``(batch, time, input)``, in the dtype of the cell's parameters (under autocast in any floating
            dtype).
        state: the state before the first step; the cell's initial state by default.
        lengths: number of real steps of each sequence, integers ``(batch,)`` in [1, time], on any device. Their values
            are checked on the CPU, where that is free; those on an accelerator are limited to that range, since
            reading them would stall it at every call.
        resets: bool ``(batch, time)`` on the device of ``x``: true where a row starts again from the cell's initial
            state before that step is read. In the step that is read first it replaces ``state``. A flag past a length
            has no effect. With ``reverse`` a sequence of a row is read from its last step, so that its flag is there:
            flags belong to the steps of ``x``, and both are reversed alike.
        reverse: read each sequence from its last real step to its first; outputs stay at the steps they belong to.
        backend: a name in ``BACKENDS``, or ``"auto"`` for the fastest that does not refuse (:func:`preference`).

    Returns:
        Outputs ``(batch, time, output)``, and the state after the last real step of each sequence.

    Raises:
        ValueError: a shape, size, length or back-end does not fit; the message names it.
        TypeError: an argument is of the wrong type or dtype.

    Example:
        >>> from seqmodels import LSTMCell
        >>> cell = LSTMCell(4, 5)
        >>> y, state = unroll(cell, torch.zeros(3, 7, 4), lengths=torch.tensor([7, 2, 5]))
        >>> y.shape, state.c.shape
        (torch.Size([3, 7, 5]), torch.Size([3, 5]))
        >>> y, _ = unroll(cell, torch.ones(1, 3, 4), resets=torch.tensor([[False, True, False]]))
        >>> torch.equal(y[0, 0], y[0, 1])  # two sequences, of one step and of two
        True
    """
    if not isinstance(cell, nn.Module) or not has_hooks(cell):
        return _unrolled(cell, x, state, lengths=lengths, resets=resets, reverse=reverse, backend=backend)

    def forward(x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        run_inner_pre_hooks(cell, x, state)
        return _unrolled(cell, x, state, lengths=lengths, resets=resets, reverse=reverse, backend=backend)

    result: tuple[Tensor, State] = call(cell, forward, x, state)
    return result


def _unrolled(
    cell: Cell[State],
    x: Tensor,
    state: State | None,
    *,
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
    backend: str,
) -> tuple[Tensor, State]:
    """Run a cell whose hooks have run."""
    checked_x(cell, x)
    lengths, resets = checked_lengths(lengths, x), checked_resets(resets, x)
    given = state
    state, initial = checked_state(cell, x, given)
    effective = cell.effective()  # its initial state may not be that of the cell, which may be learned
    if lengths is not None:  # 0 is finite: a NaN in the padding would reach the weights' gradients as 0 * NaN
        x = x.masked_fill(~length_mask(lengths, x.shape[1])[..., None], 0)
    if reverse:
        x = reverse_time(x, lengths)
        resets = None if resets is None else reverse_time(resets, lengths)
    if resets is not None:
        resets = resets_within(resets, lengths, from_initial=given is None)
    restart = None if resets is None else initial
    run = partial(_run, effective, x, state, lengths, resets=resets, restart=restart, name=backend)
    if not torch.compiler.is_compiling() and (watch := watcher()) is not None:
        y, state = watch(Unrolling(cell, x, state, lengths, resets, restart, reverse, run))
    else:
        y, state = run()
    return (reverse_time(y, lengths) if reverse else y), state


def backends_for(cell: Cell[Any], x: Tensor) -> dict[str, str | None]:
    """Return for every back-end why it cannot run a cell, or None if it can.

    Which one ``auto`` takes also depends on the problem size: :func:`preference`.

    Args:
        cell: any :class:`~seqmodels.cells.Cell`.
        x: inputs ``(batch, time, input)``.

    Returns:
        Reasons by the names of ``BACKENDS``.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> backends_for(GRUCell(4, 5), torch.zeros(3, 7, 4))["native"]
        'PyTorch has no kernel for GRUCell'
    """
    return {name: backend.refuses(cell.effective(), x) for name, backend in BACKENDS.items()}


def preference(cell: Cell[Any], x: Tensor, *, ragged: bool = False) -> list[str]:
    """Return the back-ends that ``auto`` considers, the fastest first; ``ragged``: the rows have lengths.

    The rule is what ``scripts/benchmark_unroll.py`` measures on a CPU: PyTorch's kernels for the standard LSTM
    (oneDNN), kernels derived from the cell elsewhere, where they are faster than ATen's loops, and for the LSTM in
    inference on padded batches, where they need four fifths of oneDNN's time (``docs/performance.md``); tiny problems
    are not fused. On a GPU it is what ``scripts/check_gpu.py`` measures: cuDNN's kernels, where there are any, for
    short sequences, for narrow layers and float16 LSTMs, where they are persistent, and for float32 without
    TensorFloat-32; derived kernels elsewhere.
    """
    if torch.compiler.is_compiling():  # a graph holds one operator, of any size; the kernels of native have none
        return ["fused", "scan", "eager"]
    tiny = x.shape[0] * x.shape[1] * cell.hidden_size < TINY
    if x.device.type != "cpu" and not tiny and _beats_cudnn(cell, x):
        names = ["scan", "fused", "native", "eager"]
    elif x.device.type != "cpu" or tiny or (type(cell) is LSTMCell and not (ragged and _beats_one_dnn(x))):
        names = ["native", "scan", "fused", "eager"]
    else:
        names = ["fused", "native", "scan", "eager"]
    return [name for name in names if name != "fused" or not tiny]


def _beats_one_dnn(x: Tensor) -> bool:
    """Return whether an LSTM derived from its cell is faster than oneDNN's on a padded batch."""
    inference = not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    return inference and x.shape[0] >= FEW_ROWS and x.dtype == torch.float32 and has_cpp_kernels(x.device, x.dtype)


def _beats_cudnn(cell: Cell[Any], x: Tensor) -> bool:
    """Return whether a CUDA kernel derived from a cell is faster than cuDNN's for such a cell, if that has one."""
    mixed = torch.is_autocast_enabled(x.device.type)
    dtype = torch.get_autocast_dtype(x.device.type) if mixed else x.dtype
    width = cell.hidden_size
    if x.shape[1] < FEW_STEPS or width > WIDEST or not has_cuda_kernels(x.device, dtype):
        return False
    persistent = width < PERSISTENT or (type(cell) is LSTMCell and dtype == torch.float16)
    return dtype == torch.bfloat16 or not persistent


def _run(
    cell: Cell[Any],
    x: Tensor,
    state: Any,
    lengths: Tensor | None,
    *,
    resets: Tensor | None,
    restart: Any,
    name: str,
) -> tuple[Tensor, Any]:
    """Run the named back-end, or for ``auto`` the first that does not refuse."""
    if name != "auto" and name not in BACKENDS:
        hint = nearest(name, ["auto", *BACKENDS], cutoff=0.4)
        raise ValueError(f"backend must be 'auto' or one of {', '.join(map(repr, BACKENDS))}, got {name!r}{hint}")
    projection = Projection(cell, x)
    for each in preference(cell, x, ragged=lengths is not None) if name == "auto" else [name]:
        try:
            return BACKENDS[each](cell, x, state, lengths, projection, resets=resets, restart=restart)
        except Refused as error:
            if name != "auto":
                text = f"backend {name!r} cannot run this: {error}; backend='auto' takes one that can"
                raise ValueError(text) from None
            if each == "fused" and not isinstance(error, UnsupportedContext):
                _warn(type(cell).__qualname__, str(error))
    raise AssertionError("the back-end eager refuses nothing")


_warned: set[tuple[str, str]] = set()


def _warn(name: str, why: str) -> None:
    """Log once that a cell is not fused, and why."""
    if (name, why) not in _warned:
        _warned.add((name, why))
        log.warning("%s is not fused, which costs speed: %s", name, why)


_warn._dynamo_marked_constant = True  # type: ignore[attr-defined] # it runs while a graph is made, which holds no logging
