"""How a change of a state grows or shrinks over time: Jacobians of the steps of a cell, in float64."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmodels.inspection.trajectories import Trajectory, random_directions

Array = NDArray[np.float64]
EXACT = 64
"""Largest state for which whole Jacobians are multiplied; above it, subspace iteration takes less time."""

WIDTH, MOST = 8, 100
"""Directions and most rounds of subspace iteration for one norm: products with the Jacobian and with its transpose."""


class JacobianNorms(NamedTuple):
    """Spectral norms of the Jacobian of the last state with respect to earlier ones."""

    steps_back: NDArray[np.int64]  # (points,)  number of steps between the two states
    log10: Array  # (batch, points)  decimal logarithms of the norms; NaN where a sequence is shorter
    exact: bool  # whether whole Jacobians were multiplied


def jacobian_norms(
    found: Trajectory, *, steps_back: Sequence[int] | None = None, exact: bool | None = None, tolerance: float = 1e-4
) -> JacobianNorms:
    r"""Return :math:`\lVert \partial s_T / \partial s_{T-k} \rVert_2` for many k.

    The state s is all tensors of the cell's state together, of an LSTM h and c; T is the last real step of each
    sequence, and inputs are held fixed. Logarithms are returned because a product of 1000 Jacobians may be too small or
    too large for a number.

    Args:
        found: of :func:`~seqmodels.inspection.trajectory` with ``dtype=torch.float64``.
        steps_back: the values of k, rising; 32 by default, or 8 if not exact, evenly spaced over the longest sequence.
        exact: multiply whole Jacobians; by default where the state has at most 64 numbers. Otherwise the norms come
            from subspace iteration with vector-Jacobian and Jacobian-vector products, which may take 100 rounds.
        tolerance: relative change of a norm at which it ends.

    Raises:
        ValueError: a value of ``steps_back`` is not in [1, longest sequence].

    Source:
        Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks.

    Example:
        >>> from seqmodels.cells import ElmanCell
        >>> cell = ElmanCell(1, 1, activation="identity").double()
        >>> _ = torch.nn.init.constant_(cell.weight_hh, 0.1)
        >>> from seqmodels.inspection import trajectory
        >>> norms = jacobian_norms(trajectory(cell, torch.zeros(1, 3, 1, dtype=torch.float64)))
        >>> norms.steps_back.tolist(), norms.log10.round(3).tolist()
        ([1, 2, 3], [[-1.0, -2.0, -3.0]])
    """
    exact = found.state_size <= EXACT if exact is None else exact
    longest = int(found.lengths.max())
    spaced = np.linspace(1, longest, 32 if exact else 8).round() if steps_back is None else steps_back
    steps = np.unique(np.asarray(spaced, dtype=np.int64))
    if steps[0] < 1 or steps[-1] > longest:
        raise ValueError(f"steps_back must lie in [1, {longest}], the steps of the longest sequence; got {steps}")
    log10 = _products(found, steps) if exact else _subspace_iteration(found, steps, tolerance)
    log10[found.lengths.cpu().numpy()[:, None] < steps] = np.nan
    return JacobianNorms(steps, log10, exact)


def lyapunov_exponent(found: Trajectory, *, seed: int = 0) -> Array:
    """Return the largest Lyapunov exponent of each sequence, in nats per step, ``(batch,)``.

    Below 0 changes of a state die out, above 0 they grow: the dynamics under these inputs are chaotic. A random tangent
    is carried along the trajectory and rescaled after each step; the mean logarithm of its growth is the exponent. The
    first tenth of each sequence is left out, while the tangent turns into the direction that grows most.

    Args:
        found: of :func:`~seqmodels.inspection.trajectory` with ``dtype=torch.float64``.
        seed: of the first tangent.

    Source:
        Benettin, Galgani, Giorgilli and Strelcyn (1980), Lyapunov characteristic exponents for smooth dynamical
        systems.

    Example:
        >>> from seqmodels.cells import ElmanCell
        >>> from seqmodels.inspection import trajectory
        >>> cell = ElmanCell(1, 1, activation="identity").double()
        >>> _ = torch.nn.init.constant_(cell.weight_hh, 0.5)
        >>> lyapunov_exponent(trajectory(cell, torch.zeros(1, 30, 1, dtype=torch.float64))).round(4)  # log 0.5
        array([-0.6931])
    """
    tangent = random_directions(found.states[0], found.state_size, seed)
    lengths = found.lengths
    start = lengths // 10
    total = torch.zeros(len(lengths), dtype=tangent.dtype, device=tangent.device)
    for step in range(int(lengths.max())):
        at = torch.full_like(lengths, step)
        tangent, growth = normalised(found.push_forward(at, tangent))
        total += torch.where((at >= start) & (at < lengths), growth, 0.0)
    return to_array(total / (lengths - start))


def _products(found: Trajectory, steps: NDArray[np.int64]) -> Array:
    """Return the norms after multiplying whole Jacobians, from the last step backwards."""
    batch, size = len(found.lengths), found.state_size
    product = torch.eye(size, dtype=torch.float64, device=found.lengths.device).repeat(batch, 1)
    logs = torch.zeros(batch, dtype=torch.float64, device=product.device)
    wanted, norms = set(steps.tolist()), []
    for back in range(1, int(steps[-1]) + 1):
        at = (found.lengths - back).clamp(min=0)
        product = found.pull_back(at, product, copies=size)
        scale = product.view(batch, -1).abs().amax(1)
        logs = logs + scale.log()
        product = product / torch.where(scale > 0, scale, 1.0).repeat_interleave(size)[:, None]
        if back in wanted:
            norms.append(logs + torch.linalg.matrix_norm(product.view(batch, size, size), 2).log())
    return to_array(torch.stack(norms, dim=1)) / math.log(10)


def _subspace_iteration(found: Trajectory, steps: NDArray[np.int64], tolerance: float) -> Array:
    """Return the norms by subspace iteration: of the Jacobian for a few directions, which turn to the largest.

    Several directions, as the largest singular values are often close to each other, and random ones for each norm, as
    the direction of one norm may be orthogonal to that of the next: the Jacobian of a cell may be diagonal.
    """
    batch, width = len(found.lengths), min(WIDTH, found.state_size)
    norms = []
    for back in steps.tolist():
        drawn = [random_directions(found.states[0], found.state_size, seed) for seed in range(width)]
        basis = _orthonormal(torch.stack(drawn, dim=1))
        norm = torch.full((batch,), torch.nan, dtype=basis.dtype, device=basis.device)
        for _ in range(MOST):
            rows, now = _through(basis, range(1, back + 1), found, found.pull_back)
            settled, norm = (now - norm).abs() < tolerance, now
            if bool((settled | (found.lengths < back) | now.isinf()).all()):
                break
            columns, _ = _through(_orthonormal(rows), range(back, 0, -1), found, found.push_forward)
            basis = _orthonormal(columns)
        norms.append(norm)
    return to_array(torch.stack(norms, dim=1)) / math.log(10)


def _through(vectors: Tensor, backs: range, found: Trajectory, product: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
    """Return vectors ``(batch, width, state)`` after some steps, counted from the end, and the logarithm of their norm.

    Vectors are scaled, those of a sequence by the same number; the norm is the spectral one, without the scaling.
    """
    batch, width, size = vectors.shape
    logs = torch.zeros_like(vectors[:, 0, 0])
    for back in backs:
        at = (found.lengths - back).clamp(min=0)
        vectors = product(at, vectors.reshape(batch * width, size), copies=width).view(batch, width, size)
        scale = vectors.abs().amax((1, 2))
        logs = logs + scale.log()
        vectors = vectors / torch.where(scale > 0, scale, 1.0)[:, None, None]
    return vectors, logs + torch.linalg.matrix_norm(vectors, 2).log()


def _orthonormal(vectors: Tensor) -> Tensor:
    """Return an orthonormal basis of the space that the rows of ``(batch, width, state)`` span."""
    return torch.linalg.qr(vectors.mT)[0].mT


def normalised(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows of norm 1 and the logarithms of their norms, ``(batch,)``; a row of zeros stays, with -inf."""
    norms = torch.linalg.vector_norm(vectors, dim=1)
    return vectors / torch.where(norms > 0, norms, 1.0)[:, None], norms.log()


def to_array(tensor: Tensor) -> Array:
    """Return a tensor as an array of float64."""
    return tensor.detach().cpu().double().numpy()
