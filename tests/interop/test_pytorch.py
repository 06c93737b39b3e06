"""``torch.nn`` layers and stacks compute the same, packed or not, and convert there and back."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from seqmodels import Recurrent, Stack, recurrent_stack
from seqmodels.cells import ElmanCell, GRUCell, LSTMCell, ProjectedLSTMCell, ResetAfterGRUCell, Zoneout
from seqmodels.interop import from_torch, to_torch
from seqmodels.sequence import leaves
from tests.conftest import TOLERANCE

BATCH, TIME, INPUT, HIDDEN = 3, 7, 4, 5
LENGTHS = torch.tensor([4, 7, 1])
EXACT = TOLERANCE[torch.float64]
KINDS: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn-tanh": nn.RNN,
    "rnn-relu": partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "lstm-projected": partial(nn.LSTM, proj_size=3),
    "gru": nn.GRU,
}
FORMS = list(product(KINDS, (1, 3), (False, True), (False, True), (False, True)))


@pytest.fixture(params=FORMS, ids=lambda form: "-".join(map(str, form)))
def module(request: pytest.FixtureRequest) -> nn.RNNBase:
    kind, depth, bidirectional, batch_first, bias = request.param
    options = {"num_layers": depth, "bidirectional": bidirectional, "batch_first": batch_first, "bias": bias}
    return with_random_parameters(KINDS[kind](INPUT, HIDDEN, **options).double())


def with_random_parameters(module: nn.RNNBase) -> nn.RNNBase:
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -0.7, 0.7)
    return module


def ragged(module: nn.RNNBase, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Run a ``torch.nn`` module over packed ``x``; return outputs ``(batch, time, ...)`` and final states."""
    x = x if module.batch_first else x.transpose(0, 1)
    packed = pack_padded_sequence(x, LENGTHS, batch_first=module.batch_first, enforce_sorted=False)
    y, final = module(packed)
    y, _ = pad_packed_sequence(y, batch_first=True, total_length=TIME)
    return y, list(final) if isinstance(final, tuple) else [final]


def test_a_stack_from_torch_computes_what_the_module_computes(module: nn.RNNBase) -> None:
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    stack = from_torch(module)
    y, final = ragged(module, x)
    actual, state = stack(x, None, LENGTHS)
    assert_close(actual, y, **EXACT)
    fields = len(final)  # torch: (layers * directions, batch, hidden) for each field
    for index, leaf in enumerate(leaves(state)):
        assert_close(leaf, final[index % fields][index // fields], **EXACT)


def test_there_and_back_computes_the_same(module: nn.RNNBase) -> None:
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    back = to_torch(from_torch(module))
    assert type(back) is type(module)
    assert (back.num_layers, back.bidirectional, back.proj_size) == (
        module.num_layers,
        module.bidirectional,
        module.proj_size,
    )
    assert_close(ragged(back, x)[0], ragged(module, x)[0], **EXACT)


def test_a_conversion_copies() -> None:
    module = nn.LSTM(INPUT, HIDDEN)
    stack = from_torch(module)
    before = stack(torch.ones(1, 2, INPUT))[0]
    nn.init.zeros_(next(module.parameters()))
    assert torch.equal(stack(torch.ones(1, 2, INPUT))[0], before)


def test_dtype_mode_dropout_and_backend_come_over() -> None:
    stack = from_torch(nn.GRU(INPUT, HIDDEN, 2, dropout=0.3, dtype=torch.float64).eval(), backend="eager")
    assert not stack.training
    assert stack.dropout.p == 0.3
    assert {parameter.dtype for parameter in stack.parameters()} == {torch.float64}
    assert {layer.backend for layer in stack.layers} == {"eager"}
    back = to_torch(stack)
    assert back.dropout == 0.3
    assert not back.training
    assert back.weight_ih_l0.dtype == torch.float64


def test_one_layer_with_dropout_becomes_a_module_without() -> None:
    assert to_torch(recurrent_stack(partial(ResetAfterGRUCell, hidden_size=5), INPUT, dropout=0.3)).dropout == 0.0


def test_a_trained_stack_goes_to_torch() -> None:
    stack = recurrent_stack(partial(LSTMCell, hidden_size=HIDDEN), INPUT, depth=2, bidirectional=True)
    x = torch.randn(BATCH, TIME, INPUT)
    optimizer = torch.optim.SGD(stack.parameters(), lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        stack(x)[0].square().sum().backward()
        optimizer.step()
    assert_close(to_torch(stack)(x)[0], stack(x)[0], **TOLERANCE[torch.float32])


def stack_of(*cells: Any, **options: Any) -> Stack:
    return Stack([Recurrent(cell) for cell in cells], **options)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (stack_of(GRUCell(4, 5)), "torch.nn has no layer of GRUCell, the cell of layer 0"),
        (stack_of(ElmanCell(4, 5, activation="sigmoid")), "torch.nn.RNN knows tanh and relu, got sigmoid in layer 0"),
        (stack_of(Zoneout(LSTMCell(4, 5), {"h": 0.1})), "torch.nn has no layer of Zoneout, the cell of layer 0"),
        (
            stack_of(LSTMCell(4, 5), LSTMCell(5, 3)),
            "the same cells in all layers to fit a torch.nn module, got LSTMCell",
        ),
        (stack_of(LSTMCell(4, 5), ElmanCell(5, 5)), "got ElmanCell.* at layer 1 over LSTMCell"),
        (stack_of(LSTMCell(4, 5), LSTMCell(5, 5), residual=True), "stack must not be residual"),
        (Stack([Recurrent(LSTMCell(4, 5), reverse=True)]), "only forward and bidirectional layers"),
        (Stack([stack_of(LSTMCell(4, 5))]), "only forward and bidirectional layers of one cell each, got Stack"),
    ],
    ids=str,
)
def test_a_stack_that_torch_has_no_module_for_is_refused(stack: Stack, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_torch(stack)


def test_only_layers_convert() -> None:
    with pytest.raises(TypeError, match=r"module must be an nn.RNN, nn.LSTM or nn.GRU, got LSTMCell"):
        from_torch(nn.LSTMCell(4, 5))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="stack must be a Stack, got Recurrent; wrap a single layer"):
        to_torch(Recurrent(ProjectedLSTMCell(4, 5)))  # type: ignore[arg-type]
