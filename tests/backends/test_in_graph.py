"""``torch.compile`` and ``torch.export`` hold a recurrence as one operator, which computes what it computes outside."""

import logging
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, fx, nn
from torch._dynamo.backends.debugging import aot_eager
from torch.export import Dim
from torch.utils.checkpoint import checkpoint

from seqmodels.backends import unroll
from seqmodels.cells import Cell, GRUCell, LearnedInitialState, LSTMCell, WeightDrop
from seqmodels.layers import Bidirectional, Recurrent
from tests.backends.fakes import BATCH, HIDDEN, INPUT, RESETS, TIME, assert_same, measured, random_state

pytestmark = pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor:UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
LENGTHS = torch.tensor([7, 2, 5])
FEW = 3
"""Time steps where a graph holds each of them: dynamo takes as many times as long."""


class Memory(NamedTuple):
    h: Tensor
    old: Tensor


class UserCell(Cell[Memory]):
    """A cell with tensors inside containers and modules, a number, and two fields of different shapes."""

    gates = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.maps = nn.ModuleList([nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)])
        self.scales = {"old": [torch.linspace(0.1, 0.9, hidden_size, dtype=torch.float64)]}
        self.slope = 1.0

    def initial_state(self, x: Tensor) -> Memory:
        return Memory(x.new_zeros(x.shape[0], self.hidden_size), x.new_ones(x.shape[0], 1, self.hidden_size))

    def project(self, x: Tensor) -> Tensor:
        return self.maps[0](x)

    def step(self, wx: Tensor, state: Memory) -> tuple[Tensor, Memory]:
        old = self.scales["old"][0] * state.old[:, 0]
        h = torch.tanh(self.slope * wx + self.maps[1](state.h)) + old
        return h, Memory(h, 0.5 * state.h[:, None])


class Quadratic(GRUCell):
    """A cell that no program can be derived for."""

    def step(self, wx: Any, state: Any) -> tuple[Tensor, Any]:
        h = torch.tanh(wx[:, : self.hidden_size] + (state.h[:, None] @ state.h[..., None])[:, 0])
        return h, type(state)(h)


CELLS = {
    "gru": GRUCell,
    "a user's cell": UserCell,
    "learned initial state": lambda i, h: LearnedInitialState(LSTMCell(i, h)),
    "a weight dropped once a sequence": lambda i, h: WeightDrop(GRUCell(i, h), 0.3).eval(),
}


class Unrolled(nn.Module):
    """``unroll`` as a module."""

    def __init__(self, cell: Cell[Any], backend: str = "auto") -> None:
        super().__init__()
        self.cell, self.backend = cell, backend

    def forward(self, x: Tensor, **options: Any) -> Any:
        return unroll(self.cell, x, backend=self.backend, **options)


class Counting:
    """Compiles graphs, and counts them and their recurrences."""

    def __init__(self) -> None:
        self.graphs: list[int] = []

    def __call__(self, module: fx.GraphModule, inputs: Any) -> Any:
        targets = [str(node.target) for node in module.graph.nodes if node.op == "call_function"]
        self.graphs.append(targets.count("seqmodels.recurrence"))
        return aot_eager(module, inputs)


def compiled(module: nn.Module) -> tuple[Any, list[int]]:
    torch._dynamo.reset()
    counting = Counting()
    return torch.compile(module, backend=counting, fullgraph=True), counting.graphs


@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS.keys())
def test_a_compiled_layer_is_one_operator_and_the_same_as_uncompiled(make: Any) -> None:
    layer = Unrolled(make(INPUT, HIDDEN)).double()
    run, graphs = compiled(layer)
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    given = random_state(layer.cell, x)
    options: dict[str, Any] = {"lengths": LENGTHS, "resets": torch.tensor(RESETS)}
    plain: list[dict[str, Any]] = [{}] if make is GRUCell else []  # what is not given is the same for every cell
    calls: list[dict[str, Any]] = [*plain, options, options | {"state": given}]
    for chosen in calls:
        state = chosen.get("state")
        direct = partial(unroll, layer.cell, backend="eager", **chosen)
        assert_same(measured(partial(run, **chosen), layer, x, state), measured(direct, layer, x, state))
    assert graphs == [1] * len(calls)


def test_other_sizes_compile_once_more() -> None:
    layer = Recurrent(GRUCell(INPUT, HIDDEN)).double()
    run, graphs = compiled(layer)
    for batch, time in ((3, 7), (3, 9), (3, 4), (5, 4), (6, 11), (2, 30)):
        x = torch.randn(batch, time, INPUT, dtype=torch.float64)
        torch.testing.assert_close(run(x), unroll(layer.cell, x, backend="eager"))
    assert len(graphs) <= 3  # the first, with any time, with any batch


def test_two_directions_of_a_layer_are_two_operators() -> None:
    layers = (Recurrent(LSTMCell(INPUT, HIDDEN), reverse=back).double() for back in (False, True))
    layer = Bidirectional(*layers)
    run, graphs = compiled(layer)
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    torch.testing.assert_close(run(x, lengths=LENGTHS), layer(x, lengths=LENGTHS))
    assert graphs == [2]


def test_what_the_step_reads_is_guarded() -> None:
    layer: Any = Recurrent(UserCell(INPUT, HIDDEN)).double()
    run, graphs = compiled(layer)
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    before = run(x)[0]
    layer.cell.slope = 3.0
    after = run(x)[0]
    torch.testing.assert_close(after, unroll(layer.cell, x, backend="eager")[0])
    assert (before - after).abs().max() > 0.1
    layer.requires_grad_(False)
    assert not run(x)[0].requires_grad
    assert {*graphs} == {1}  # after a change dynamo compiles twice, first for any number


def test_a_cell_that_changes_itself_in_project_is_left_to_eager() -> None:
    class Counted(GRUCell):
        def project(self, x: Tensor) -> Tensor:
            self.scale = float(x.shape[-1])
            return super().project(x)

        def step(self, wx: Any, state: Any) -> tuple[Tensor, Any]:
            return super().step(self.scale * wx, state)

    layer = Recurrent(Counted(INPUT, HIDDEN)).double()
    run, graphs = compiled(layer)
    x = torch.randn(BATCH, FEW, INPUT, dtype=torch.float64)
    torch.testing.assert_close(run(x), layer(x))
    assert graphs == [0]


def test_a_cell_that_cannot_be_fused_is_unrolled_in_the_graph(caplog: pytest.LogCaptureFixture) -> None:
    layer = Recurrent(Quadratic(INPUT, HIDDEN)).double()
    run, graphs = compiled(layer)
    x = torch.randn(BATCH, FEW, INPUT, dtype=torch.float64)
    with caplog.at_level(logging.WARNING):
        torch.testing.assert_close(run(x), layer(x))
    assert graphs == [0]
    assert "Quadratic is not fused" in caplog.text


def test_a_wrong_length_is_an_error_in_a_graph_too() -> None:
    layer = Recurrent(GRUCell(INPUT, HIDDEN))
    run, _ = compiled(layer)
    x = torch.randn(BATCH, TIME, INPUT)
    run(x, lengths=LENGTHS)
    with pytest.raises(ValueError, match=r"lengths must lie in \[1, 7\], the time of x; row 1 is 8"):
        run(x, lengths=torch.tensor([7, 8, 1]))


def test_the_random_numbers_of_a_compiled_function_are_not_disturbed() -> None:
    layer = Recurrent(GRUCell(INPUT, HIDDEN))
    run, _ = compiled(layer)
    torch.manual_seed(0)
    run(torch.zeros(BATCH, TIME, INPUT))
    after = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(1))


TRANSFORMS: dict[str, Any] = {
    "grad": lambda f, x: torch.func.grad(lambda v: f(v).sin().sum())(x),
    "vmap": lambda f, x: torch.vmap(f)(x.expand(2, -1, -1, -1)),
    "forward derivative": lambda f, x: torch.func.jvp(f, (x,), (x,))[1],
    "checkpoint": lambda f, x: checkpoint(f, x, use_reentrant=False),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
def test_transforms_in_a_compiled_function_are_those_of_eager(transform: Any) -> None:
    cell = GRUCell(INPUT, HIDDEN).double()
    x = torch.randn(BATCH, FEW, INPUT, dtype=torch.float64)
    torch._dynamo.reset()
    run = torch.compile(lambda v: transform(lambda one: unroll(cell, one)[0], v), backend="aot_eager")
    torch.testing.assert_close(run(x), transform(lambda one: unroll(cell, one, backend="eager")[0], x))


class Tensors(nn.Module):
    """Returns plain tensors: ``torch.export.save`` cannot store that an output is a named tuple."""

    def __init__(self, cell: Cell[Any]) -> None:
        super().__init__()
        self.layer = Recurrent(cell)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        y, state = self.layer(x, lengths=lengths)
        return (y, *state)


LOADING = """
import sys, torch, seqmodels.backends
program = torch.export.load(sys.argv[1] + "/model.pt2")
torch.save(program.module()(*torch.load(sys.argv[1] + "/input.pt")), sys.argv[1] + "/output.pt")
"""


@pytest.mark.long
@pytest.mark.parametrize(("make", "strict"), [(UserCell, False), (LSTMCell, True)], ids=["traced", "strict"])
def test_an_exported_module_runs_any_batch_and_time_in_another_process(make: Any, strict: bool, tmp_path: Path) -> None:
    module = Tensors(make(INPUT, HIDDEN)).double().eval()
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    batch, time = Dim("batch"), Dim("time")
    shapes = ({0: batch, 1: time}, {0: batch})
    program = torch.export.export(module, (x, LENGTHS), dynamic_shapes=shapes, strict=strict)
    targets = [str(node.target) for node in program.graph.nodes]
    assert targets.count("seqmodels.recurrence.default") == 1
    assert "aten.tanh.default" not in targets
    given = torch.randn(5, 11, INPUT, dtype=torch.float64), torch.tensor([11, 1, 7, 2, 3])
    expected = module(*given)
    torch.testing.assert_close(program.module()(*given), expected)
    if strict:  # the same graph otherwise
        return
    torch.export.save(program, tmp_path / "model.pt2")
    torch.save(given, tmp_path / "input.pt")
    subprocess.run([sys.executable, "-W", "ignore", "-c", LOADING, tmp_path], check=True)
    torch.testing.assert_close(torch.load(tmp_path / "output.pt"), expected)


def test_an_exported_module_has_no_derivative_and_says_so() -> None:
    module = Tensors(GRUCell(INPUT, HIDDEN))
    x = torch.randn(BATCH, TIME, INPUT)
    program = torch.export.export(module, (x, LENGTHS))
    with pytest.raises(RuntimeError, match="for inference alone"):
        program.module()(x, LENGTHS)[0].sum().backward()
