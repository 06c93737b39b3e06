"""A recurrence as an operator of torch's: what it computes from a text, torch's own checks of it, its errors."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels.backends import unroll
from seqmodels.backends.eager import Eager
from seqmodels.cells import ALL_CELLS, Cell, GRUCell, LayerNormLSTMCell, LSTMCell
from seqmodels.errors import Refused
from seqmodels.fusion.operators import recurrence
from seqmodels.fusion.plan import step_of
from seqmodels.fusion.written import read, written
from seqmodels.sequence import leaves
from tests.backends.fakes import random_state, with_random_parameters
from tests.conftest import TOLERANCE

BATCH, TIME, INPUT, HIDDEN = 3, 7, 4, 5
LENGTHS = torch.tensor([7, 2, 5])
RESETS = torch.zeros(BATCH, TIME, dtype=torch.bool)
RESETS[0, 3] = RESETS[1, 0] = RESETS[2, 2] = True


class Given:
    """A cell, and the arguments of its operator."""

    def __init__(self, kind: type[Cell[Any]], *, grad: bool = True) -> None:
        self.cell = with_random_parameters(kind(INPUT, HIDDEN))
        self.x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
        with torch.set_grad_enabled(grad):
            self.step, wx, _, names = step_of(self.cell, self.x)
        parameters = dict(self.cell.named_parameters())
        self.state, self.restart = (random_state(self.cell, self.x) for _ in range(2))
        self.streams, self.carries, self.restarts = leaves(wx), leaves(self.state), leaves(self.restart)
        self.constants = [parameters[name] for name in names]

    def arguments(self, lengths: Tensor | None = None, resets: Tensor | None = None) -> tuple[Any, ...]:
        restarts = [] if resets is None else self.restarts
        return written(self.step), self.streams, self.carries, restarts, self.constants, lengths, resets


@pytest.mark.parametrize("kind", ALL_CELLS)
def test_a_step_that_was_written_and_read_is_that_of_eager(kind: type[Cell[Any]]) -> None:
    given = Given(kind)
    results = recurrence(*given.arguments(LENGTHS, RESETS))[: 1 + len(given.carries)]
    y, state = Eager()(given.cell, given.x, given.state, LENGTHS, resets=RESETS, restart=given.restart)
    expected = [y, *leaves(state)]
    torch.testing.assert_close(results, expected, **TOLERANCE[torch.float64])
    sums = [torch.stack([one.sin().sum() for one in each]).sum() for each in (results, expected)]
    wanted = [*given.cell.parameters(), *given.carries, *given.restarts]
    gradients = [torch.autograd.grad(one, wanted) for one in sums]
    torch.testing.assert_close(*gradients, **TOLERANCE[torch.float64])


def test_a_text_is_the_same_for_the_same_step_and_holds_no_gradients_for_inference() -> None:
    given = Given(GRUCell)
    assert written(given.step) == written(Given(GRUCell).step)
    inference = Given(GRUCell, grad=False)
    assert read(written(inference.step)).pair is None
    y = recurrence(*inference.arguments())[0]
    torch.testing.assert_close(
        y, unroll(inference.cell, inference.x, inference.state, backend="eager")[0], **TOLERANCE[torch.float64]
    )
    with pytest.raises(RuntimeError, match="for inference alone"):
        y.sum().backward()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("executor", ["cpp", "portable"])
@pytest.mark.parametrize("kind", [LSTMCell, LayerNormLSTMCell])
def test_torch_finds_nothing_wrong_with_them(
    monkeypatch: pytest.MonkeyPatch, kind: type[Cell[Any]], executor: str
) -> None:
    if executor == "portable":
        monkeypatch.setattr("seqmodels.fusion.choice.reason", lambda: "a test")
    text, *tensors, lengths, resets = Given(kind).arguments(LENGTHS, RESETS)
    (streams, carries, _, constants), masks = tensors, (lengths, resets)
    leaf = [[one.detach().requires_grad_() for one in group] for group in tensors]
    torch.library.opcheck(torch.ops.seqmodels.recurrence.default, (text, *leaf, *masks))
    with torch.no_grad():
        y, *rest = recurrence(text, *tensors, *masks)
        ends, kept = rest[: len(carries)], rest[len(carries) :]
        given = [s for i, s in enumerate(streams) if i in read(text).pair.reads]  # type: ignore[union-attr]
        backward = (text, given, constants, kept, torch.ones_like(y), [torch.ones_like(end) for end in ends], *masks)
        tests = ("test_schema", "test_faketensor")  # the other two are of its own derivative, which is refused
        torch.library.opcheck(torch.ops.seqmodels.recurrence_backward.default, backward, test_utils=tests)


def test_a_second_derivative_is_refused_in_words() -> None:
    given = Given(GRUCell)
    y = recurrence(*given.arguments())[0]
    (first,) = torch.autograd.grad(y.sin().sum(), [given.cell.get_parameter("weight_hh")], create_graph=True)
    with pytest.raises(RuntimeError, match="backend='eager'"):
        first.sum().backward()


@pytest.mark.parametrize(
    ("index", "change", "words"),
    [
        (1, lambda streams: [streams[0][:, :, 1:]], r"streams must have the shapes \[\(3, 7, 15\)\]"),
        (1, lambda streams: [streams[0].float()], "streams must be torch.float64"),
        (1, lambda streams: [streams[0][0]], r"streams must be tensors \(batch, time, width\)"),
        (2, lambda carries: [carries[0][1:]], "carries must have the shapes"),
        (4, lambda constants: constants[1:], "constants must have the shapes"),
        (5, lambda _: torch.tensor([7, 8, 1]), r"lengths must lie in \[1, 7\], the time of x; row 1 is 8"),
        (5, lambda _: torch.tensor([7, 1]), "lengths must have the shapes"),
        (6, lambda _: torch.zeros(BATCH, 2, dtype=torch.bool), "resets must have the shapes"),
        (3, lambda restarts: [restarts[0].float()], "restarts must be torch.float64"),
        (3, lambda _: [], "restarts must have the shapes"),
        (0, lambda text: json.dumps(json.loads(text) | {"version": 0}), "version 0, .* export the model again"),
    ],
)
def test_what_a_kernel_could_not_run_on_is_refused(index: int, change: Any, words: str) -> None:
    arguments = [*Given(GRUCell).arguments(LENGTHS, RESETS)]
    arguments[index] = change(arguments[index])
    with pytest.raises(ValueError, match=words):
        recurrence(*arguments)


def test_reading_a_text_runs_no_code() -> None:
    text = json.loads(Given(GRUCell).arguments()[0])
    text["hoisted"]["calls"][0][0] = "os.system.default"
    with pytest.raises(ValueError, match=r"ATen operators alone, got os\.system\.default"):
        read(json.dumps(text))


def test_what_has_no_text_is_refused() -> None:
    class Many(GRUCell):
        def step(self, wx: Any, state: Any) -> tuple[Tensor, Any]:
            h = state.h + wx[:, :5] + torch.tensor([[float(i) for i in range(1000)]] * 5, dtype=torch.float64).mean(1)
            return h, type(state)(h)

    with pytest.raises(Refused, match="creates 5000 numbers from literals: hold them in a buffer"):
        written(step_of(Many(INPUT, HIDDEN).double(), torch.zeros(BATCH, TIME, INPUT, dtype=torch.float64))[0])
