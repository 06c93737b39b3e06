"""A step puts out what it says: what it asks of modes and sizes, what dtypes and shapes it has, what it draws."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels import unroll
from tests.fusion.running import (
    BATCH,
    HIDDEN,
    TIME,
    Double,
    Single,
    UserCell,
    assert_auto_equals_eager,
    assert_inference_equals_eager,
    cases,
    differences,
    outcome,
    sequence,
    written,
)

Advance = Callable[[Any, Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


ASKING: dict[str, Advance] = {
    "is_grad_enabled": lambda s, wx, h: torch.tanh(s.added(wx, h)) if torch.is_grad_enabled() else wx,
    "requires_grad of the input": lambda s, wx, h: torch.tanh(s.added(wx, h)) + (0.5 if wx.requires_grad else 0.0),
    "requires_grad of the state": lambda s, wx, h: s.added(wx, h).sin() if h.requires_grad else wx.cos(),
    "requires_grad of a parameter": lambda s, wx, h: (s.added(wx, h) * (2 if s.bias.requires_grad else 1)).sin(),
    "is_leaf": lambda s, wx, h: torch.tanh(s.added(wx, h)) if h.is_leaf else torch.sin(s.added(wx, h)),
    "grad_fn": lambda s, wx, h: torch.tanh(s.added(wx, h)) if h.grad_fn is None else torch.sin(s.added(wx, h)),
    "is_inference": lambda s, wx, h: torch.tanh(s.added(wx, h)) + (0.5 if h.is_inference() else 0.0),
    "training": lambda s, wx, h: torch.tanh(s.added(wx, h)) if s.training else wx,
    "size of the batch": lambda s, wx, h: torch.tanh(s.added(wx, h)) / wx.shape[0],
    "len": lambda s, wx, h: torch.tanh(s.added(wx, h)) / len(h),
    "numel": lambda s, wx, h: torch.tanh(s.added(wx, h)) / h.numel() + h.size(0),
    "a batch of one": lambda s, wx, h: s.added(wx, h).sin() if wx.size(0) > 1 else s.added(wx, h).cos(),
    "an even batch": lambda s, wx, h: torch.tanh(s.added(wx, h)) * (1 + wx.shape[0] % 2),
    "squeeze": lambda s, wx, h: torch.tanh(s.added(wx, h).unsqueeze(1).squeeze()).view(h.shape),
    "mean over everything": lambda s, wx, h: torch.tanh(s.added(wx, h) - h.mean()),
    "softmax over the batch": lambda s, wx, h: torch.softmax(s.added(wx, h), 0),
    "the row before": lambda s, wx, h: torch.tanh(s.added(wx, h.roll(1, 0))),
    "the first row": lambda s, wx, h: torch.tanh(s.added(wx, h[:1])),
    "dtype": lambda s, wx, h: torch.tanh(s.added(wx, h)) * torch.finfo(h.dtype).bits / 64,
    "device": lambda s, wx, h: torch.tanh(s.added(wx, h)) + (0.1 if h.device.type == "cpu" else 0.2),
    "contiguity": lambda s, wx, h: torch.tanh(s.added(wx, h)) + (0.1 if wx.is_contiguous() else 0.2),
    "strides": lambda s, wx, h: torch.tanh(s.added(wx, h)) + wx.stride(0) / 1000 + h.stride(0) / 1000,
    "offset": lambda s, wx, h: torch.tanh(s.added(wx, h)) + wx.storage_offset() / 10000,
    "default dtype": lambda s, wx, h: torch.tanh(s.added(wx, h)) * torch.tensor(0.3).to(h),
}


@pytest.mark.parametrize("advance", cases(ASKING))
def test_a_step_may_ask_for_modes_sizes_and_strides(advance: Advance) -> None:
    cell = written(advance)
    assert_auto_equals_eager(cell)
    assert_inference_equals_eager(cell)
    one = sequence(cell, 1, BATCH * TIME)
    assert_auto_equals_eager(cell, one)
    assert_inference_equals_eager(cell, one)


CASTS: dict[str, Advance] = {
    "int": lambda s, wx, h: torch.tanh(s.added(wx, h) + (4 * h).int() / 4),
    "long and back": lambda s, wx, h: torch.tanh(s.added(wx, h)) + 0.1 * (h * 3).long().to(h.dtype),
    "floor division of whole numbers": lambda s, wx, h: torch.tanh(s.added(wx, h) + ((9 * h).int() // 4) / 3),
    "remainder of whole numbers": lambda s, wx, h: torch.tanh(s.added(wx, h) + ((9 * h).to(torch.int16) % 4) / 3),
    "bits": lambda s, wx, h: torch.tanh(s.added(wx, h) + (((20 * h).int() & 3) | 4) / 5),
    "uint8": lambda s, wx, h: torch.tanh(s.added(wx, h) + (100 * h.abs()).to(torch.uint8) * 4 / 255),
    "bool": lambda s, wx, h: torch.tanh(s.added(wx, h)) * torch.relu(wx).bool(),
    "half": lambda s, wx, h: torch.tanh(s.added(wx, h)).half().to(h.dtype),
    "bfloat16": lambda s, wx, h: torch.tanh(s.added(wx, h)).bfloat16().type_as(h),
    "single": lambda s, wx, h: torch.tanh(s.added(wx, h)).float().double(),
    "mask and number": lambda s, wx, h: torch.tanh(s.added(wx, h) - (h > 0).float()),
    "sum of a mask": lambda s, wx, h: torch.tanh(s.added(wx, h)) / (1 + (h > 0).sum(-1, keepdim=True)),
    "mean of whole numbers": lambda s, wx, h: torch.tanh(s.added(wx, h)) + (9 * h).int().float().mean(-1, True),
    "argmax": lambda s, wx, h: torch.tanh(s.added(wx, h)) * F.one_hot(wx.argmax(-1), HIDDEN),
    "looked up": lambda s, wx, h: torch.tanh(s.added(wx, h) + F.embedding(wx.argmax(-1), s.weight_hh)),
}


@pytest.mark.parametrize("advance", cases(CASTS))
def test_casts_round_cut_and_stop_gradients_as_they_do_in_eager(advance: Advance) -> None:
    assert_auto_equals_eager(written(advance))


def test_a_weight_that_is_rounded_has_its_gradient_but_for_that_rounding() -> None:
    cell = written(lambda s, wx, h: torch.tanh(wx + h @ s.weight_hh.float().double().T))
    actual, expected = (outcome(cell, sequence(cell), backend=backend) for backend in ("auto", "eager"))
    name = "gradient of weight_hh"  # eager rounds it at every step
    torch.testing.assert_close(actual.pop(name), expected.pop(name), rtol=1e-5, atol=1e-5)
    assert not differences(actual, expected)


class Counted(NamedTuple):
    h: Tensor
    n: Tensor


class Remembering(UserCell):
    """A cell whose second field is of another dtype than its first."""

    def __init__(self, first: Tensor, update: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.update = first, update

    def initial_state(self, x: Tensor) -> Counted:
        return Counted(self.zeros(x), self.first.expand(x.shape[0], -1).clone())

    def step(self, wx: Tensor, state: Counted) -> tuple[Tensor, Counted]:
        h, n = state
        h = (torch.tanh(self.added(wx, h)) / (1 + n)).to(h.dtype)
        return h, Counted(h, self.update(n, h))


STATES: dict[str, tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]] = {
    "a count": (torch.tensor([0]), lambda n, h: n + 1),
    "a count of 32 bits": (torch.tensor([3], dtype=torch.int32), lambda n, h: (n + 1) % 5),
    "a count of bytes that overflows": (torch.tensor([200], dtype=torch.uint8), lambda n, h: n + 9),
    "a large count": (torch.tensor([2**40]), lambda n, h: n * 3 % (2**41 - 1)),
    "how often": (torch.zeros(HIDDEN, dtype=torch.int64), lambda n, h: n + (h > 0)),
    "a flag": (torch.zeros(HIDDEN, dtype=torch.bool), lambda n, h: h > 0.2),
    "a flag that stays": (torch.zeros(HIDDEN, dtype=torch.bool), lambda n, h: n | (h > 0.4)),
    "a sum in double precision": (torch.zeros(1, dtype=torch.float64), lambda n, h: n + h.abs().mean(-1, True)),
    "a sum in half precision": (torch.zeros(HIDDEN, dtype=torch.float16), lambda n, h: n + h.half().abs()),
}


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("remembered", cases(STATES))
def test_states_keep_their_dtypes(remembered: tuple[Tensor, Any], ragged: bool) -> None:
    cell = Remembering(*remembered)  # in single precision
    x = sequence(cell)
    lengths = torch.arange(BATCH) % TIME + 1 if ragged else None
    assert_auto_equals_eager(cell, x, lengths=lengths)
    before = unroll(cell, x[:, :3], backend="eager")[1]
    assert_auto_equals_eager(cell, x, before, lengths=lengths)


def test_a_state_may_become_one_of_another_dtype() -> None:
    assert_auto_equals_eager(Remembering(torch.tensor([0]), lambda n, h: n + 0.5))


class PutOut(UserCell):
    """A cell that puts out something else than its state."""

    def __init__(self, output: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.output = output

    def step(self, wx: Tensor, state: Single) -> tuple[Tensor, Single]:
        h = torch.tanh(self.added(wx, state.h))
        return self.output(h), Single(h)


OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "double": lambda h: h.double(),
    "half": lambda h: h.half(),
    "whole numbers": lambda h: (9 * h).long(),
    "a mask": lambda h: h > 0,
    "a class": lambda h: h.argmax(-1, keepdim=True),
    "a number for each row": lambda h: h.mean(-1),
    "the first column": lambda h: h[:, 0],
    "a table": lambda h: h.view(-1, 5, 6),
    "a table of other order": lambda h: h.view(-1, 5, 6).transpose(1, 2),
    "a column": lambda h: h[:, 3:4],
    "nothing": lambda h: h[:, :0],
    "a constant": torch.ones_like,
    "a column of a constant": lambda h: h.new_full((h.shape[0], 1), 0.5),
}


@pytest.mark.parametrize("output", cases(OUTPUTS))
def test_outputs_have_their_dtype_and_their_shape(output: Callable[[Tensor], Tensor]) -> None:
    assert_auto_equals_eager(PutOut(output))


def with_buffer(value: Any, dtype: torch.dtype = torch.float32) -> UserCell:
    cell = written(lambda s, wx, h: h + s.dt * torch.tanh(s.added(wx, h))).to(dtype)
    cell.register_buffer("dt", value) if isinstance(value, Tensor) else setattr(cell, "dt", value)
    return cell


@pytest.mark.parametrize(
    "value",
    cases(
        {
            "0-d double": torch.tensor(0.1, dtype=torch.float64),
            "0-d half": torch.tensor(0.1, dtype=torch.float16),
            "0-d whole": torch.tensor(1),
            "0-d mask": torch.tensor(True),
            "row of doubles": torch.full((HIDDEN,), 0.1, dtype=torch.float64),
            "one double in a row": torch.tensor([0.1], dtype=torch.float64),
            "row of whole numbers": torch.arange(HIDDEN) % 2,
            "numpy number": np.float64(0.1),
            "numpy number in single": np.float32(0.1),
            "python number": 0.1,
        }
    ),
)
def test_what_meets_other_dtypes_is_promoted_as_in_eager(value: Any) -> None:
    cell = with_buffer(value)
    outputs = []
    for backend in ("eager", "auto"):
        try:
            outputs.append(outcome(cell, sequence(cell), backend=backend))
        except RuntimeError as error:
            outputs.append({"error": torch.tensor(len(str(error)))})
    assert outputs[1].keys() == outputs[0].keys()
    assert not differences(outputs[1], outputs[0])


DRAWING: dict[str, Advance] = {
    "numpy": lambda s, wx, h: torch.tanh(s.added(wx, h) + torch.from_numpy(np.random.randn(HIDDEN))),
    "a number of numpy": lambda s, wx, h: torch.tanh(s.added(wx, h) * np.random.uniform()),
    "python": lambda s, wx, h: h if random.random() < 0.3 else torch.tanh(s.added(wx, h)),
    "a choice": lambda s, wx, h: random.choice([torch.tanh, torch.sin])(s.added(wx, h)),
    "a generator of numpy": lambda s, wx, h: torch.tanh(s.added(wx, h) * s.drawing.random()),
    "a generator of python": lambda s, wx, h: torch.tanh(s.added(wx, h) * s.drawing.random()),
    "torch": lambda s, wx, h: torch.tanh(s.added(wx, h) + torch.randn_like(h)),
    "torch, a number": lambda s, wx, h: torch.tanh(s.added(wx, h) * torch.rand(1, dtype=h.dtype)),
    "dropout": lambda s, wx, h: torch.tanh(F.dropout(s.added(wx, h), 0.4)),
    "dropout layer": lambda s, wx, h: torch.tanh(s.layer(s.added(wx, h))),
    "rrelu": lambda s, wx, h: F.rrelu(s.added(wx, h), training=True),
    "bernoulli": lambda s, wx, h: torch.bernoulli(torch.sigmoid(h)) * torch.tanh(s.added(wx, h)),
    "permutation of columns": lambda s, wx, h: torch.tanh(s.added(wx, h[:, torch.randperm(HIDDEN)])),
}


@pytest.mark.parametrize("name", DRAWING)
def test_a_step_that_draws_draws_at_every_step_of_every_call(name: str) -> None:
    cell = written(DRAWING[name], layer=nn.Dropout(0.4))
    for seed in (1, 2):
        results = []
        for backend in ("eager", "auto"):
            random.seed(seed)
            np.random.seed(seed)
            cell.drawing = np.random.default_rng(seed) if "numpy" in name else random.Random(seed)
            results.append(outcome(cell, sequence(cell), backend=backend))
        assert not differences(results[1], results[0])


def test_a_pair_may_swap_its_fields() -> None:
    class Swapping(UserCell):
        def initial_state(self, x: Tensor) -> Double:
            return Double(self.zeros(x), self.zeros(x) + 1)

        def step(self, wx: Tensor, state: Double) -> tuple[Tensor, Double]:
            return state.c - state.h, Double(state.c, torch.tanh(self.added(wx, state.h)))

    cell = Swapping().double()
    assert_auto_equals_eager(cell)
    assert_auto_equals_eager(cell, lengths=torch.arange(BATCH) % TIME + 1)
