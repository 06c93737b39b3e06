"""Masks, reversal, and mapping over states."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from seqmodels.sequence import (
    Fixed,
    at_step,
    last_step,
    leaves,
    length_mask,
    map_leaves,
    reverse,
    unbind_steps,
    usable_lengths,
)

LENGTHS = torch.tensor([2, 4, 1])
X = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])


class Noise(NamedTuple):
    keep: Tensor
    weight: Fixed


class Projected(NamedTuple):
    wx: Tensor
    noise: Noise


PROJECTED = Projected(torch.randn(3, 4, 5), Noise(torch.rand(3, 4, 2), Fixed(torch.randn(7, 7))))


def test_a_mask_is_true_where_a_step_is_real() -> None:
    expected = [[True, True, False, False], [True] * 4, [True, False, False, False]]
    assert length_mask(LENGTHS, 4).tolist() == expected


def test_lengths_are_checked_on_the_cpu_and_limited_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, x = torch.tensor([5, 4, 0], dtype=torch.uint8), X[..., None]
    for place in (x, x.to("meta")):
        with pytest.raises(ValueError, match=r"lengths must lie in \[1, 4\], the time of x; row 0 is 5"):
            usable_lengths(wrong, place)
        assert usable_lengths(LENGTHS, place).device == place.device
    assert usable_lengths(wrong.to("meta"), x.to("meta")).shape == (3,)  # whose values nothing may read
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert usable_lengths(wrong, x).tolist() == [5, 4, 0]  # left to the operators of the graph
    assert usable_lengths(wrong, x.to("meta")).device.type == "meta"


def test_reversal_leaves_padding_at_the_end() -> None:
    assert reverse(X, LENGTHS).tolist() == [[2, 1, 3, 4], [8, 7, 6, 5], [9, 10, 11, 12]]
    assert reverse(X).tolist() == [[4, 3, 2, 1], [8, 7, 6, 5], [12, 11, 10, 9]]


def test_reversing_twice_is_nothing() -> None:
    x = torch.randn(3, 4, 2, 5)
    assert torch.equal(reverse(reverse(x, LENGTHS), LENGTHS), x)
    assert torch.equal(reverse(x, LENGTHS)[..., 1, 3], reverse(x[..., 1, 3], LENGTHS))


def test_reversal_passes_gradients_to_the_steps_they_belong_to() -> None:
    x = X.double().requires_grad_()
    (gradient,) = torch.autograd.grad((reverse(x, LENGTHS) * X).sum(), x)
    assert torch.equal(gradient, reverse(X, LENGTHS).double())


def test_the_last_step_is_the_last_real_one() -> None:
    assert last_step(X, LENGTHS).tolist() == [2, 8, 9]
    assert last_step(X).tolist() == [4, 8, 12]


def test_leaves_leave_out_what_is_fixed() -> None:
    assert [tuple(leaf.shape) for leaf in leaves(PROJECTED)] == [(3, 4, 5), (3, 4, 2)]


def test_mapping_keeps_the_structure_and_what_is_fixed() -> None:
    doubled = map_leaves(lambda leaf: leaf * 2, PROJECTED)
    assert isinstance(doubled, Projected)
    assert isinstance(doubled.noise, Noise)
    assert torch.equal(doubled.noise.keep, PROJECTED.noise.keep * 2)
    assert doubled.noise.weight is PROJECTED.noise.weight


def test_unbinding_gives_what_each_step_gets() -> None:
    steps = unbind_steps(PROJECTED)
    assert len(steps) == 4
    for t, step in enumerate(steps):
        expected = at_step(PROJECTED, t)
        assert isinstance(step, Projected)
        assert all(map(torch.equal, leaves(step), leaves(expected)))
        assert step.noise.weight is PROJECTED.noise.weight
    assert torch.equal(unbind_steps(PROJECTED.wx)[2], PROJECTED.wx[:, 2])
