"""What ``unroll`` says of arguments that do not fit."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from seqmodels.backends import BACKENDS, backends_for, unroll, unrolling
from seqmodels.backends.unrolling import preference
from seqmodels.cells import Cell, GRUCell, GRUState, LearnedInitialState, LSTMCell, LSTMState
from tests.backends.fakes import BATCH, HIDDEN, INPUT, LENGTHS, TIME

X = torch.randn(BATCH, TIME, INPUT)
H = torch.zeros(BATCH, HIDDEN)


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "rank": ({"x": X[0]}, ValueError, "x must have shape (batch, time, 4), got (7, 4)"),
    "feature size": ({"x": X[..., :3]}, ValueError, "x must have shape (batch, time, 4), got (3, 7, 3)"),
    "no step": ({"x": X[:, :0]}, ValueError, "x must hold at least one sequence and one step, got shape (3, 0, 4)"),
    "no sequence": ({"x": X[:0]}, ValueError, "x must hold at least one sequence and one step, got shape (0, 7, 4)"),
    "integers": ({"x": X.long()}, TypeError, "x must be floating point, got torch.int64"),
    "dtype": (
        {"x": X.double()},
        TypeError,
        "x must have the dtype of the cell's parameters, torch.float32, got torch.float64",
    ),
    "device": (
        {"x": X.to("meta")},
        ValueError,
        "x must be on the device of the cell's parameters, cpu, got meta",
    ),
    "a list": ({"x": X.tolist()}, TypeError, "x must be a tensor, got list"),
    "a module that is no cell": ({"cell": torch.nn.Linear(4, 5)}, TypeError, "cell must be a Cell, got Linear"),
    "lengths as a list": (
        {"lengths": [7, 7, 7]},
        TypeError,
        "lengths must be a tensor of integers (3,), got list",
    ),
    "lengths as fractions": (
        {"lengths": torch.ones(3)},
        TypeError,
        "lengths must be integers, got torch.float32",
    ),
    "lengths as a mask": (
        {"lengths": torch.ones(3, dtype=torch.bool)},
        TypeError,
        "lengths must be integers, got torch.bool",
    ),
    "lengths of another batch": (
        {"lengths": torch.tensor([7, 7])},
        ValueError,
        "lengths must have shape (3,), one for each sequence of x, got (2,)",
    ),
    "zero length": (
        {"lengths": torch.tensor([7, 0, 3])},
        ValueError,
        "lengths must lie in [1, 7], the time of x; row 1 is 0",
    ),
    "too long": (
        {"lengths": torch.tensor([7, 1, 8])},
        ValueError,
        "lengths must lie in [1, 7], the time of x; row 2 is 8",
    ),
    "resets as a list": (
        {"resets": [[True] * 7] * 3},
        TypeError,
        "resets must be a bool tensor (3, 7), got list",
    ),
    "resets as numbers": (
        {"resets": torch.ones(3, 7)},
        TypeError,
        "resets must be bool, true where a row starts again, got torch.float32; convert with .bool()",
    ),
    "resets time first": (
        {"resets": torch.ones(7, 3, dtype=torch.bool)},
        ValueError,
        "resets must have shape (3, 7), a flag for each step of x, got (7, 3)",
    ),
    "resets elsewhere": (
        {"resets": torch.ones(3, 7, dtype=torch.bool, device="meta")},
        ValueError,
        "resets must be on the device of x, cpu, got meta",
    ),
    "resets of PyTorch's kernel": (
        {"resets": torch.ones(3, 7, dtype=torch.bool), "backend": "native"},
        ValueError,
        "backend 'native' cannot run this: PyTorch's kernels run a row from its first step to its last",
    ),
    "state as torch has it": (
        {"state": (H, H)},
        TypeError,
        "state must be a LSTMState(h, c), got tuple",
    ),
    "state of another cell": (
        {"state": GRUState(H)},
        TypeError,
        "state must be a LSTMState(h, c), got GRUState",
    ),
    "state of another batch": (
        {"state": LSTMState(H[:2], H[:2])},
        ValueError,
        "state.h must have shape (3, 19) for this x, got (2, 19)",
    ),
    "state of another size": (
        {"state": LSTMState(H, H[:, :3])},
        ValueError,
        "state.c must have shape (3, 19) for this x, got (3, 3)",
    ),
    "state of another dtype": (
        {"state": LSTMState(H, H.double())},
        TypeError,
        "state.c must have the dtype of x, torch.float32, got torch.float64",
    ),
    "state elsewhere": (
        {"state": LSTMState(H, H.to("meta"))},
        ValueError,
        "state.c must be on the device of x, cpu, got meta",
    ),
    "state with a hole": (
        {"state": LSTMState(H, None)},  # type: ignore[arg-type]
        TypeError,
        "state.c must be a tensor, got NoneType",
    ),
    "state too deep": (
        {"state": LSTMState(H, (H, H))},  # type: ignore[arg-type]
        TypeError,
        "state must hold state.h, state.c, got state.h, state.c.0, state.c.1",
    ),
    "back-end misspelt": ({"backend": "natvie"}, ValueError, "got 'natvie'; did you mean 'native'?"),
    "back-end unknown": ({"backend": "9"}, ValueError, "backend must be 'auto' or one of "),
    "back-end refused": (
        {"backend": "scan"},
        ValueError,
        "backend 'scan' cannot run this: LSTMCell is not linear in its state",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_named_with_its_rule_and_value(case: str) -> None:
    changed, error, message = WRONG[case]
    arguments: dict[str, Any] = {"cell": LSTMCell(INPUT, HIDDEN), "x": X, **changed}
    with pytest.raises(error, match=re.escape(message)):
        unroll(**arguments)


def test_every_unknown_backend_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=", ".join(map(repr, BACKENDS))):
        unroll(LSTMCell(INPUT, HIDDEN), X, backend="torch")


def test_auto_takes_the_first_preferred_backend_that_does_not_refuse() -> None:
    cells: list[Cell[Any]] = [LSTMCell(INPUT, HIDDEN), GRUCell(INPUT, HIDDEN)]
    for cell in cells:
        reasons = backends_for(cell, X)
        first = next(name for name in preference(cell, X) if reasons[name] is None)
        lengths = torch.tensor(LENGTHS)
        assert torch.equal(unroll(cell, X, lengths=lengths)[0], unroll(cell, X, lengths=lengths, backend=first)[0])


def test_auto_leaves_tiny_work_uncompiled_and_fuses_what_pytorch_has_no_fast_kernel_for() -> None:
    large = torch.zeros(32, 128, INPUT)
    assert "fused" not in preference(GRUCell(INPUT, HIDDEN), X)
    assert preference(GRUCell(INPUT, 8), large)[0] == "fused"
    assert preference(LSTMCell(INPUT, 8), large)[0] == "native"


def test_auto_fuses_an_lstm_in_inference_on_padded_batches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(rows: int = 8, *, ragged: bool = True, dtype: torch.dtype = torch.float32) -> str:
        return preference(LSTMCell(INPUT, 64), torch.zeros(rows, 128, INPUT, dtype=dtype), ragged=ragged)[0]

    assert first() == "native", "the rule was measured in inference"
    with torch.no_grad():
        assert first() == "fused"
        assert first(7) == first(ragged=False) == first(dtype=torch.float64) == "native"
        monkeypatch.setenv("SEQMODELS_CPP", "0")
        assert first() == "native", "torch operators are slower than oneDNN"


def test_auto_takes_derived_kernels_on_a_gpu_where_they_are_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(kind: type[Cell[Any]], steps: int, width: int, dtype: torch.dtype) -> str:
        x: Any = SimpleNamespace(shape=(16, steps, 4), device=torch.device("cuda"), dtype=dtype)
        return next(name for name in preference(kind(4, width), x) if name in ("fused", "native"))

    bf16, fp16, fp32 = torch.bfloat16, torch.float16, torch.float32
    monkeypatch.setattr(unrolling, "has_cuda_kernels", lambda device, dtype: True)
    for steps, width, dtype in ((512, 512, bf16), (64, 64, bf16), (512, 256, fp32)):
        assert first(LSTMCell, steps, width, dtype) == "fused"
    assert first(GRUCell, 512, 256, fp16) == "fused"
    for steps, width, dtype in ((35, 650, bf16), (512, 128, fp32), (512, 512, fp16), (512, 2048, bf16)):
        assert first(LSTMCell, steps, width, dtype) == "native"
    monkeypatch.setattr(unrolling, "has_cuda_kernels", lambda device, dtype: False)
    assert first(LSTMCell, 512, 512, bf16) == "native"


def test_backends_for_lists_all_with_eager_last_and_never_refusing() -> None:
    answers = backends_for(GRUCell(INPUT, HIDDEN), X)
    assert list(answers) == list(BACKENDS)
    assert list(answers.items())[-1] == ("eager", None)
    assert answers["native"] == "PyTorch has no kernel for GRUCell"


def test_a_wrapper_with_nothing_to_do_costs_no_backend() -> None:
    cell = LearnedInitialState(LSTMCell(INPUT, HIDDEN))
    torch.nn.init.normal_(cell.initial["c"])
    assert backends_for(cell, X)["native"] is None
    y, _ = unroll(cell, X, backend="native")
    given, _ = unroll(cell.cell, X, cell.initial_state(X), backend="eager")
    assert_close(y, given)


def test_autocast_may_mix_dtypes() -> None:
    cell = LSTMCell(INPUT, HIDDEN)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = unroll(cell, X.bfloat16(), backend="eager")
        unroll(cell, X, state, backend="eager")
    assert y.shape == (BATCH, TIME, HIDDEN)


class _OnlyAnOutput(LSTMCell):
    def step(self, wx: Any, state: Any) -> Any:
        return super().step(wx, state)[0]


@pytest.mark.parametrize("lengths", [None, torch.tensor(LENGTHS[:2])])
def test_a_step_without_a_new_state_is_named(lengths: torch.Tensor | None) -> None:
    with pytest.raises(ValueError, match=r"_OnlyAnOutput.step must return \(output, state\), got Tensor"):
        unroll(_OnlyAnOutput(INPUT, HIDDEN), X[:2], lengths=lengths)  # two rows could be unpacked as output and state
