"""Recurrent and bidirectional layers, and stacks of them."""

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqmodels import Bidirectional, Recurrent, Stack, recurrent_stack, unroll
from seqmodels.cells import ElmanCell, GRUCell, JordanCell, LSTMCell, MinGRUCell
from seqmodels.layers import (
    AttentionPool,
    ConcatInput,
    Convolution,
    LockedDropout,
    ReadOut,
    SelfAttention,
    SequenceLayer,
)
from tests.backends.fakes import BATCH, INPUT, LENGTHS, RESETS, TIME, assert_same, measured
from tests.conftest import TOLERANCE

EXACT = TOLERANCE[torch.float64]


def both_ways(input_size: int, hidden_size: int) -> Bidirectional:
    return Bidirectional(
        Recurrent(GRUCell(input_size, hidden_size)),
        Recurrent(LSTMCell(input_size, hidden_size - 2), reverse=True),
    )


MAKERS: dict[str, Callable[[], SequenceLayer]] = {
    "forwards": lambda: Recurrent(LSTMCell(INPUT, 5)),
    "backwards": lambda: Recurrent(LSTMCell(INPUT, 5), reverse=True),
    "both": lambda: both_ways(INPUT, 5),
    "mixed stack": lambda: Stack([both_ways(INPUT, 5), Recurrent(MinGRUCell(8, 3)), ReadOut(3, 2)]),
    "residual stack": lambda: recurrent_stack(partial(GRUCell, hidden_size=5), INPUT, depth=3, residual=True),
    "bidirectional stack": lambda: recurrent_stack(LSTMCell, INPUT, hidden_sizes=[5, 3], bidirectional=True),
    "read-out": lambda: ReadOut(INPUT, 3, activation="softmax"),
    "concatenated input": lambda: ConcatInput(Recurrent(GRUCell(INPUT, 5), reverse=True)),
    "attention": lambda: Stack([Recurrent(GRUCell(INPUT, 6)), SelfAttention(6, heads=2)]),
}


@pytest.fixture(params=MAKERS)
def layer(request: pytest.FixtureRequest) -> SequenceLayer:
    return MAKERS[request.param]().double()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)


def test_sizes_are_those_of_inputs_and_outputs(layer: SequenceLayer, x: Tensor) -> None:
    y, _ = layer(x)
    assert layer.input_size == INPUT
    assert y.shape == (BATCH, TIME, layer.output_size)


def test_several_sequences_in_a_row_are_that_many_singles(layer: SequenceLayer, x: Tensor) -> None:
    lengths, resets = torch.tensor(LENGTHS), torch.tensor(RESETS)

    def alone(leaf: Tensor) -> tuple[Tensor, Any]:
        y = []
        for row, length in enumerate(LENGTHS):
            edges = [0, *(t for t in range(1, length) if RESETS[row][t]), length]
            parts = [layer(leaf[row : row + 1, start:end])[0][0] for start, end in pairwise(edges)]
            y.append(torch.cat([*parts, parts[0].new_zeros(TIME - length, layer.output_size)]))
        return torch.stack(y), ()

    packed = measured(lambda leaf: (layer(leaf, None, lengths, resets=resets)[0], ()), layer, x)
    assert_same(packed, measured(alone, layer, x))


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_only_the_sequence_that_is_read_first_starts_from_a_given_state(x: Tensor, reverse: bool) -> None:
    layer = Recurrent(GRUCell(INPUT, 5), reverse=reverse).double()
    _, given = layer(x)
    y, _ = layer(x, given, torch.tensor(LENGTHS), resets=torch.tensor(RESETS))
    for row, length in enumerate(LENGTHS):
        state = type(given)(given.h[row : row + 1])
        for start, end in pairwise([0, *(t for t in range(1, length) if RESETS[row][t]), length]):
            first = end == length if reverse else start == 0 and not RESETS[row][0]
            alone, _ = layer(x[row : row + 1, start:end], state if first else None)
            assert_close(y[row, start:end], alone[0], **EXACT)


def test_a_batch_of_ragged_sequences_is_that_many_singles(layer: SequenceLayer, x: Tensor) -> None:
    y, _ = layer(x, None, torch.tensor(LENGTHS))
    for row, length in enumerate(LENGTHS):
        assert_close(y[row, :length], layer(x[row : row + 1, :length])[0][0], **EXACT)
        assert not y[row, length:].any()


@pytest.mark.parametrize("filling", [99.0, torch.nan])
def test_padding_changes_nothing(layer: SequenceLayer, x: Tensor, filling: float) -> None:
    lengths, dirty = torch.tensor(LENGTHS), x.clone()
    for row, length in enumerate(LENGTHS):
        dirty[row, length:] = filling
    clean = measured(lambda leaf: layer(leaf, None, lengths), layer, x)
    assert_same(measured(lambda leaf: layer(leaf, None, lengths), layer, dirty), clean)


def test_every_layer_is_made_on_a_device_and_in_a_dtype() -> None:
    where: dict[str, Any] = {"device": "meta", "dtype": torch.float64}
    layers = [
        recurrent_stack(LSTMCell, 4, hidden_sizes=[5, 6], bidirectional=True, **where),
        ReadOut(4, 5, **where),
        SelfAttention(4, heads=2, **where),
        Convolution(4, channels=5, **where),
        AttentionPool(4, **where),
    ]
    for layer in layers:
        assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.float64)}


def test_halves_with_carried_state_make_the_whole(x: Tensor) -> None:
    layer = Stack([Recurrent(LSTMCell(INPUT, 5)), Stack([Recurrent(GRUCell(5, 3))]), ReadOut(3, 2)]).double()
    whole, final = layer(x)
    first, state = layer(x[:, :3])
    second, state = layer(x[:, 3:], state)
    assert_close(torch.cat([first, second], dim=1), whole, **EXACT)
    assert_close(state, final, **EXACT)


def test_a_recurrent_layer_is_unroll(x: Tensor) -> None:
    cell, lengths = JordanCell(INPUT, 5, output_size=3).double(), torch.tensor(LENGTHS)
    y, state = Recurrent(cell, reverse=True, backend="eager")(x, None, lengths)
    expected, expected_state = unroll(cell, x, lengths=lengths, reverse=True, backend="eager")
    assert torch.equal(y, expected)
    assert torch.equal(state.y, expected_state.y)
    assert Recurrent(cell).output_size == 3


def test_both_directions_stand_side_by_side_with_their_states(x: Tensor) -> None:
    layer, lengths = both_ways(INPUT, 5).double(), torch.tensor(LENGTHS)
    y, (forward, backward) = layer(x, None, lengths)
    for half, state, outputs in (
        (layer.forward_layer, forward, y[..., :5]),
        (layer.backward_layer, backward, y[..., 5:]),
    ):
        alone, alone_state = half(x, None, lengths)
        assert torch.equal(outputs, alone)
        assert torch.equal(state.h, alone_state.h)
    assert torch.equal(layer(x, (forward, backward))[1][0].h, layer.forward_layer(x, forward)[1].h)


def test_a_residual_stack_adds_what_the_layer_before_put_out(x: Tensor) -> None:
    stack = recurrent_stack(partial(GRUCell, hidden_size=5), INPUT, depth=3, residual=True).double()
    below, _ = stack.layers[0](x)
    for layer in list(stack.layers)[1:]:
        below = below + layer(below)[0]
    assert_close(stack(x)[0], below, **EXACT)


def test_dropout_is_between_layers_and_only_in_training(x: Tensor) -> None:
    stack = recurrent_stack(partial(ElmanCell, hidden_size=5), INPUT, depth=2, dropout=0.5).double()
    lower, upper = stack.layers
    assert torch.equal(stack.eval()(x)[0], upper(lower(x)[0])[0])
    stack.train()
    torch.manual_seed(3)
    y, (first, _) = stack(x)
    torch.manual_seed(3)
    assert torch.equal(y, upper(LockedDropout(0.5)(lower(x)[0]))[0])
    assert torch.equal(first.h, lower(x)[1].h)


def test_recurrent_stack_chains_sizes_and_cells() -> None:
    narrow = recurrent_stack(LSTMCell, 4, hidden_sizes=[7, 5, 3], bidirectional=True)
    assert [(layer.input_size, layer.output_size) for layer in narrow.layers] == [(4, 14), (14, 10), (10, 6)]
    mixed = recurrent_stack([partial(GRUCell, hidden_size=5), partial(JordanCell, hidden_size=7, output_size=2)], 4)
    assert [type(layer.cell).__name__ for layer in mixed.layers] == ["GRUCell", "JordanCell"]
    assert (mixed.input_size, mixed.output_size) == (4, 2)
    assert {layer.backend for layer in recurrent_stack(LSTMCell, 4, hidden_sizes=[5], backend="eager").layers} == {
        "eager"
    }
    assert len(recurrent_stack(partial(GRUCell, hidden_size=5), 4).layers) == 1


@pytest.mark.parametrize(
    ("name", "backward_size"),
    [("forwards", 0), ("backwards", 5), ("both", 3), ("mixed stack", 0), ("bidirectional stack", 3), ("read-out", 0)],
)
def test_a_layer_says_how_many_of_its_outputs_read_backwards(name: str, backward_size: int) -> None:
    assert MAKERS[name]().backward_size == backward_size


def lstm(input_size: int, hidden_size: int, **options: Any) -> Recurrent:
    return Recurrent(LSTMCell(input_size, hidden_size), **options)


ONE = lstm(4, 5)
X = torch.randn(BATCH, TIME, INPUT)
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no layer": (lambda: Stack([]), "layers must hold at least one layer, got none"),
    "sizes do not chain": (
        lambda: Stack([lstm(4, 5), lstm(6, 5)]),
        "layers must fit each other: layer 1 has input_size 6, got output_size 5 below it",
    ),
    "residual": (
        lambda: Stack([lstm(4, 5), lstm(5, 5), lstm(5, 3)], residual=True),
        "residual needs layers of one size: layer 2 has output_size 3 over 5",
    ),
    "one layer twice": (lambda: Bidirectional(ONE, ONE), "must be two modules"),
    "two inputs": (lambda: Bidirectional(lstm(4, 5), lstm(3, 5, reverse=True)), "got input sizes 4 and 3"),
    "forward reads backwards": (
        lambda: Bidirectional(lstm(4, 5, reverse=True), lstm(4, 5, reverse=True)),
        "forward_layer must read forwards",
    ),
    "backward reads forwards": (lambda: Bidirectional(lstm(4, 5), lstm(4, 5)), "backward_layer must read backwards"),
    "dropout": (lambda: Stack([ONE], dropout=1.0), "p must be a probability in [0, 1), got 1.0"),
    "depth of zero": (lambda: recurrent_stack(LSTMCell, 4, hidden_sizes=[]), "must be at least 1, got 0"),
    "two depths": (
        lambda: recurrent_stack(LSTMCell, 4, hidden_sizes=[5, 3], depth=3),
        "depth and the number of hidden_sizes must agree, got 3 and 2",
    ),
    "state of another depth": (
        lambda: Stack([ONE])(X, (None, None)),
        "state must be a tuple of 1, one for each layer, got tuple of 2",
    ),
    "state of one direction": (
        lambda: both_ways(4, 5)(X, torch.zeros(1)),  # type: ignore[arg-type]
        "state must be a tuple of two, forward and backward, got Tensor",
    ),
    "state of a read-out": (
        lambda: ReadOut(4, 5)(X, (X,)),  # type: ignore[arg-type]
        "state must be a tuple of none: a read-out carries no state, got tuple of 1",
    ),
    "activation": (lambda: ReadOut(4, 5, activation="sofmax"), "got 'sofmax'; did you mean 'softmax'?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_named(case: str) -> None:
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_recurrent_layer_takes_a_cell() -> None:
    with pytest.raises(TypeError, match="cell must be a Cell, got <class"):
        Recurrent(LSTMCell)  # type: ignore[arg-type]


def test_a_layer_of_ones_own_stacks_with_all_others(x: Tensor) -> None:
    class Doubling(SequenceLayer):
        input_size = output_size = 5

        def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
            return 2 * x, ()

    layer = Recurrent(GRUCell(INPUT, 5)).double()
    y, (state, nothing) = Stack([layer, Doubling()])(x)
    assert torch.equal(y, 2 * layer(x)[0])
    assert nothing == ()
    assert torch.equal(state.h, layer(x)[1].h)


@pytest.mark.parametrize("activation", ["identity", "softmax", "sigmoid", "tanh"])
def test_a_read_out_is_g_of_a_product_at_every_step(activation: str, x: Tensor) -> None:
    layer = ReadOut(INPUT, 3, activation=activation).double()
    a = x.numpy() @ layer.linear.weight.detach().numpy().T + layer.linear.bias.detach().numpy()
    e = torch.from_numpy(a).exp()
    expected = {
        "identity": torch.from_numpy(a),
        "softmax": e / e.sum(-1, keepdim=True),
        "sigmoid": e / (1 + e),
        "tanh": (e - 1 / e) / (e + 1 / e),
    }
    assert_close(layer(x)[0], expected[activation], **EXACT)


def test_locked_dropout_is_one_mask_for_all_steps() -> None:
    y = LockedDropout(0.4)(torch.ones(50, 7, 40))
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert_close(y.unique(), torch.tensor([0, 1 / 0.6]))
    assert float((y == 0).float().mean()) == pytest.approx(0.4, abs=0.05)
    assert not torch.equal(y[0], y[1])


def test_locked_dropout_does_nothing_in_evaluation_or_at_0() -> None:
    x = torch.randn(2, 3, 4)
    assert LockedDropout(0.4).eval()(x) is x
    assert LockedDropout(0.0)(x) is x


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("backend", "resets"), [("auto", None), ("auto", torch.tensor(RESETS)), ("native", None)])
@pytest.mark.parametrize("lengths", [None, torch.tensor(LENGTHS)], ids=["whole", "ragged"])
def test_a_compiled_lstm_trains_and_evaluates_as_it_does_uncompiled(
    backend: str, lengths: Tensor | None, resets: Tensor | None
) -> None:
    layer, x = Recurrent(LSTMCell(INPUT, 5), backend=backend), torch.randn(BATCH, TIME, INPUT)
    compiled: Any = torch.compile(layer, backend="aot_eager")
    run, run_compiled = (partial(one, lengths=lengths, resets=resets) for one in (layer, compiled))
    assert_same(measured(run_compiled, layer, x), measured(run, layer, x))
    with torch.no_grad():
        assert_close(run_compiled(x)[0], run(x)[0], **TOLERANCE[torch.float32])


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning", "ignore::DeprecationWarning")
def test_a_compiled_layer_runs_the_hooks_of_its_cell() -> None:
    layer, x = Recurrent(GRUCell(INPUT, 5)), torch.randn(BATCH, TIME, INPUT)
    torch.nn.utils.spectral_norm(layer.cell, "weight_hh")
    compiled: Any = torch.compile(layer.eval(), backend="aot_eager")
    for _ in range(2):  # the second call finds the weight that the first one computed
        assert_same(measured(compiled, layer, x), measured(layer, layer, x))
