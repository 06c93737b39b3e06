"""Comparing a derived program with the step itself before it is used.

A few rows run a few steps, once through a Python loop over the step and once through the program: outputs, final states
and every gradient must agree, to rounding in double precision. A compiled kernel in another precision is then compared
in that as well.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.cells.base import Cell
from seqmodels.errors import Refused
from seqmodels.fusion.cuda.executor import Cuda
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.function import Inputs, run
from seqmodels.fusion.guards import Inspection
from seqmodels.fusion.kernels.folder import record, recorded
from seqmodels.fusion.lowering.step import Step
from seqmodels.fusion.portable.executor import SMOOTH, Portable
from seqmodels.fusion.tracing.form import fill, fixed
from seqmodels.fusion.tracing.isolation import isolated
from seqmodels.fusion.tracing.trace import replica, unchanged
from seqmodels.sequence import leaves, length_mask, map_leaves, unbind_steps

ROWS, STEPS = 3, 4
LENGTHS = (4, 2, 3)
EXACT = 1e-5
"""Largest difference in double precision, relative to a tensor's largest number: constants like ``finfo.eps`` are those
of the dtype that was traced."""
ROUNDED = {torch.float32: 2e-3, torch.bfloat16: 0.2, torch.float16: 3e-2}
"""The same for compiled kernels in other dtypes."""
AMPLIFIED = 4.0
"""Times the error of the loop in the same dtype that a kernel may have, where that is more."""
TRIES = 3
"""Random draws of which one must agree in low precision, where rounding may carry a number across a threshold."""
LARGE = 300.0
"""Factor of the inputs that makes functions saturate."""


class Case(NamedTuple):
    """A small problem: what project returned, a state, the tensors of the cell."""

    wx: Any
    state: Any
    constants: list[Tensor]
    lengths: Tensor | None


def validate(
    cell: Cell[Any],
    inspection: Inspection,
    step: Step,
    executor: Executor,
    wx: Any,
    state: Any,
    key: str,
    dtype: torch.dtype,
) -> None:
    """Compare a program with the step that it was derived from.

    Args:
        cell: the cell, which is not changed.
        inspection: what the cell's step can read.
        step: the derived programs.
        executor: what will run them.
        wx: what ``project`` returned; its first rows and steps are used.
        state: a state, likewise.
        key: identifies the cell and the form of its inputs, for the record of programs that agreed before.
        dtype: what the executor will compute in.

    Raises:
        Refused: they differ; the message says by how much.
    """
    name = type(executor).__name__
    digest = hashlib.sha256("\0".join((key, name, str(dtype), _version())).encode()).hexdigest()
    if recorded(digest):
        return
    with unchanged(cell, inspection), torch.autograd.set_detect_anomaly(False):
        isolated(_Comparison(cell, inspection, step, wx, state, dtype).check, executor)
    record(digest)


@lru_cache(maxsize=1)
def _version() -> str:
    """Return a text that identifies this version of the package and of torch."""
    try:
        own = version("seqmodels")
    except PackageNotFoundError:
        own = ""
    files = sorted(Path(__file__).parents[1].glob("**/*.[chp]*"))
    facts = ((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return f"{own} {torch.__version__} {[*facts]}"


class _Comparison:
    def __init__(
        self, cell: Cell[Any], inspection: Inspection, step: Step, wx: Any, state: Any, dtype: torch.dtype
    ) -> None:
        self.dtype = dtype
        self.cell, self.inspection, self.step, self.wx, self.state = cell, inspection, step, wx, state
        self.names = [f"wx[{i}]" for i in range(len(step.streams))]
        self.names += [f"state[{i}]" for i in range(len(step.carries))]
        self.names += ["wx"] * len(list(fixed(wx))) + inspection.names
        self.grad = step.pair is not None
        self.constants: dict[torch.dtype, list[Tensor]] = {}

    def check(self, executor: Executor) -> None:
        """Compare in double precision, then as the executor will run."""
        exact = executor if self.dtype == torch.float64 else Portable()
        with torch.set_grad_enabled(self.grad):
            for kind, rows, scale in (
                ("", ROWS, 1.0),
                (" for a batch of one", 1, 1.0),
                (" where it saturates", ROWS, LARGE),
            ):
                case = self._case(torch.float64, rows, scale, 0)
                loop, got = self._looped(case), self._ran(case, exact)
                if differs := _difference(loop, loop, got, EXACT, finite=scale > 1):
                    raise Refused(f"the derived program is not the step{kind}: {differs}")
            if isinstance(executor, Portable):
                if self.dtype == torch.float32:  # where there are many numbers it computes tanh in another way
                    self._check_rounded(
                        executor, 1 + SMOOTH // min((prod(leaf.shape) for leaf in self.step.carries), default=1), 1.0
                    )
            elif self.dtype != torch.float64:
                self._check_rounded(executor, ROWS, 1.0)
                self._check_rounded(executor, ROWS, LARGE)

    def _check_rounded(self, executor: Executor, rows: int, scale: float) -> None:
        kind = torch.float16 if isinstance(executor, Cuda) and self.dtype == torch.float32 else self.dtype
        # products of TF32 keep as many digits as float16
        bound = ROUNDED[kind] * (10 if scale > 1 else 1)  # 1 - tanh(x)**2 keeps few digits
        for seed in range(TRIES):
            case = self._case(self.dtype, rows, scale, seed)
            exact, loop, got = self._looped(_in_double(case)), self._looped(case), self._ran(case, executor)
            if not (found := _difference(exact, loop, got, bound, finite=scale > 1)):
                return
        raise Refused(f"the derived kernel is not the step: {found}")

    def _case(self, dtype: torch.dtype, rows: int, scale: float, seed: int) -> Case:
        """Take the first rows and steps, one row as it is and the others with noise, and the cell's tensors."""
        generator = torch.Generator().manual_seed(seed)
        steps = 2 if rows == 1 else STEPS

        def drawn(tensor: Tensor, leading: int) -> Tensor:
            part = tensor.detach()[_cycle(rows, tensor.shape[0], tensor.device)]
            part = part[:, _cycle(steps, tensor.shape[1], tensor.device)] if leading == 2 else part
            if not part.is_floating_point():
                return part.clone()
            noise = torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part.device)
            noise[0] = 0 if rows > 1 else noise[0]
            return ((part.double() + noise) * scale).to(dtype)

        wx = _in_tree(self.wx, lambda t: drawn(t, 2), lambda t: _constant(t, dtype, generator))
        state = map_leaves(lambda t: drawn(t, 1), self.state)
        if dtype not in self.constants:
            self.constants[dtype] = [_constant(t, dtype, generator) for t in self.inspection.tensors]
        lengths = torch.tensor(LENGTHS, device=leaves(wx)[0].device) if rows == ROWS else None
        return Case(wx, state, self.constants[dtype], lengths)

    def _looped(self, case: Case) -> dict[str, Tensor]:
        return self._measured(case, lambda cell, wx, state, _: _loop(cell, wx, state, case.lengths))

    def _ran(self, case: Case, executor: Executor) -> dict[str, Tensor]:
        return self._measured(case, lambda _, wx, state, constants: self._run(executor, wx, state, constants, case))

    def _run(self, executor: Executor, wx: Any, state: Any, constants: list[Tensor], case: Case) -> tuple[Tensor, Any]:
        step, dtype = self.step, _dtype_of(wx)
        inputs = Inputs(
            [leaf.reshape(*leaf.shape[:2], -1).to(dtype) for leaf in leaves(wx)],
            [leaf.reshape(leaf.shape[0], -1).to(dtype) for leaf in leaves(state)],
            [],
            [*constants, *self.inspection.outside],
            {},
        )
        y, final = run(step, executor, inputs, case.lengths)
        ends = iter(final)
        after = map_leaves(lambda leaf: _typed(next(ends).view(leaf.shape), leaf.dtype), state)
        return _typed(y, torch.bool if step.output == torch.bool else dtype), after

    def _measured(self, case: Case, through: Callable[..., tuple[Tensor, Any]]) -> dict[str, Tensor]:
        """Return outputs, final state and, where they are wanted, the gradients of everything."""
        step = self.step
        own = [leaf.requires_grad for leaf in (*step.streams, *step.carries, *step.constants)]
        given = [*leaves(case.wx), *leaves(case.state), *fixed(case.wx), *case.constants]
        placed = [t.detach().requires_grad_(want) for t, want in zip(given, own, strict=False)]
        count = len(step.streams) + len(step.carries)
        data, constants = iter(placed[:count]), placed[count:]
        values = iter(constants)
        wx, state = fill(case.wx, data, values), fill(case.state, data, values)
        y, after = through(replica(self.cell, self.inspection, list(values)), wx, state, constants)
        results = [y, *leaves(after)]
        found = {"the output": y.detach()}
        found |= {f"the final state[{i}]": leaf.detach() for i, leaf in enumerate(leaves(after))}
        generator = torch.Generator().manual_seed(1)
        drawn = [(r, torch.randn(r.shape, generator=generator, dtype=torch.float64).to(r)) for r in results]
        ends = [(result, cotangent) for result, cotangent in drawn if result.requires_grad]
        if not self.grad or not ends:
            return found
        wanted = [(name, one) for name, one in zip(self.names, placed, strict=False) if one.requires_grad]
        if wanted:
            outputs, cotangents = zip(*ends, strict=True)
            inputs = [one for _, one in wanted]
            gradients = torch.autograd.grad(outputs, inputs, cotangents, allow_unused=True)
            for (name, one), gradient in zip(wanted, gradients, strict=True):
                found[f"the gradient of {name}"] = torch.zeros_like(one) if gradient is None else gradient
        return found


def _difference(
    exact: dict[str, Tensor], loop: dict[str, Tensor], got: dict[str, Tensor], bound: float, *, finite: bool
) -> str:
    """Return the largest difference from what is exact in words, or nothing.

    Where the loop in the program's dtype is itself off, because the step amplifies rounding, so may the program be.
    """
    worst, text = 0.0, ""
    for name, rounded in loop.items():
        value, other = exact[name], got[name]
        if finite and not bool(rounded.isfinite().all()):  # inf - inf depends on the order of operations
            continue
        if rounded.shape != other.shape or rounded.dtype != other.dtype:
            facts = [f"{tuple(t.shape)}, {t.dtype}" for t in (other, rounded)]
            return f"{name} is {facts[0]} and should be {facts[1]}"
        off = _distance(value, other)
        if off > worst and off > max(bound, AMPLIFIED * _distance(value, rounded)):
            worst, text = off, f"{name} differs by {off:.2g} of its largest number"
    return text


def _in_double(case: Case) -> Case:
    def double(one: Tensor) -> Tensor:
        return one.double() if one.is_floating_point() else one

    return Case(
        _in_tree(case.wx, double, double), map_leaves(double, case.state), [*map(double, case.constants)], case.lengths
    )


def _dtype_of(wx: Any) -> torch.dtype:
    """Return the floating dtype of a projected sequence."""
    return next(leaf.dtype for leaf in leaves(wx) if leaf.is_floating_point())


def _cycle(count: int, size: int, device: torch.device) -> Tensor:
    return torch.arange(count, device=device) % size


def _constant(tensor: Tensor, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Return a tensor of the cell in another precision; one whose numbers are all equal gets noise."""
    one = tensor.detach()
    if not one.is_floating_point():
        return one.clone()
    one = one.double()
    if one.numel() > 1 and bool((one == one.flatten()[0]).all()):
        one = one + 0.2 * torch.randn(one.shape, generator=generator, dtype=torch.float64).to(one.device)
    return one.to(dtype if tensor.dtype != torch.float64 else torch.float64)


def _in_tree(tree: Any, leaf: Callable[[Tensor], Tensor], value: Callable[[Tensor], Tensor]) -> Any:
    streams, values = iter([leaf(t) for t in leaves(tree)]), iter([value(t) for t in fixed(tree)])
    return fill(tree, streams, values)


def _typed(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor != 0 if dtype == torch.bool else tensor.to(dtype)


def _loop(cell: Cell[Any], wx: Any, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
    """Unroll as the back-end ``eager`` does."""
    outputs = []
    steps = unbind_steps(wx)
    real = None if lengths is None else length_mask(lengths, len(steps))
    for number, now in enumerate(steps):
        output, new = cell.step(now, state)
        if real is not None:
            keep = real[:, number]
            new = map_leaves(lambda n, o, keep=keep: torch.where(_broadcastable(keep, n), n, o), new, state)
            output = output.masked_fill(~_broadcastable(keep, output), 0)
        state = new
        outputs.append(output)
    return torch.stack(outputs, dim=1), state


def _broadcastable(keep: Tensor, like: Tensor) -> Tensor:
    return keep.view(-1, *[1] * (like.dim() - 1))


def _distance(one: Tensor, other: Tensor) -> float:
    """Return the largest difference as a part of the largest number; infinite where NaN or infinity differ."""
    a, b = one.double(), other.double()
    same = (a == b) | (a.isnan() & b.isnan())
    off = torch.where(same, 0.0, (a - b).abs())
    if not bool(off.isfinite().all()):
        return float("inf")
    largest = a[a.isfinite()].abs().max() if bool(a.isfinite().any()) else torch.zeros(())
    return float(off.max() / (largest + 1e-2)) if off.numel() else 0.0
