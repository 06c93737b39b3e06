"""Drop-ins compute what ``torch.nn`` computes: outputs, states and every gradient, whatever the options."""

import copy
import io
import pickle
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence
from torch.testing import assert_close

from seqmodels import nn
from seqmodels.cells import LSTMCell
from tests.conftest import TOLERANCE

BATCH, TIME, INPUT, HIDDEN = 3, 7, 4, 5
EXACT = TOLERANCE[torch.float64]
KINDS = ("LSTM", "LSTM-projected", "GRU", "RNN-tanh", "RNN-relu")
FORMS = ("batch", "unbatched", "packed", "packed sorted")
GRID = list(product(KINDS, (1, 2), (False, True), (False, True)))


def made(package: Any, kind: str, layers: int, bidirectional: bool, bias: bool, **options: Any) -> Any:
    name, _, extra = kind.partition("-")
    more: dict[str, dict[str, Any]] = {"projected": {"proj_size": 3}, "relu": {"nonlinearity": "relu"}}
    torch.manual_seed(1)
    return getattr(package, name)(
        INPUT,
        HIDDEN,
        num_layers=layers,
        bidirectional=bidirectional,
        bias=bias,
        dtype=torch.float64,
        **options | more.get(extra, {}),
    )


def arguments(module: Any, form: str, with_state: bool) -> tuple[list[Tensor], Callable[[list[Tensor]], Any]]:
    """Return leaves that need gradients, and a function that makes a module's arguments of them."""
    sizes = [module.proj_size or HIDDEN, HIDDEN] if isinstance(module, torch.nn.LSTM) else [HIDDEN]
    rows = module.num_layers * (2 if module.bidirectional else 1)
    batch = () if form == "unbatched" else (BATCH,)
    shape = (
        (TIME, INPUT) if form == "unbatched" else (BATCH, TIME, INPUT) if module.batch_first else (TIME, BATCH, INPUT)
    )
    torch.manual_seed(2)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True)]
    if with_state:
        inputs += [torch.randn(rows, *batch, size, dtype=torch.float64, requires_grad=True) for size in sizes]

    def call(given: list[Tensor]) -> Any:
        x: Any
        x, *state = given
        if form.startswith("packed"):
            lengths = torch.tensor([7, 4, 1] if form == "packed sorted" else [4, 7, 1])
            x = pack_padded_sequence(x, lengths, batch_first=module.batch_first, enforce_sorted=form == "packed sorted")
        return (x,) if not state else (x, state[0] if len(state) == 1 else tuple(state))

    return inputs, call


def flat(result: Any) -> list[Tensor]:
    """Return the tensors of an output and a state; of a PackedSequence all four."""
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result if part is not None for tensor in flat(part)]


def results_and_gradients(module: Any, inputs: list[Tensor], call: Callable[[list[Tensor]], Any]) -> list[Tensor]:
    results = flat(module(*call(inputs)))
    torch.manual_seed(3)
    real = [result for result in results if result.is_floating_point()]
    weights = [torch.randn(result.shape, dtype=result.dtype) for result in real]
    return results + list(torch.autograd.grad(real, [*inputs, *module.parameters()], weights))


@pytest.mark.parametrize(("kind", "layers", "bidirectional", "bias"), GRID)
def test_outputs_states_and_gradients_are_those_of_torch(
    kind: str, layers: int, bidirectional: bool, bias: bool
) -> None:
    for batch_first, form, with_state in product((False, True), FORMS, (False, True)):
        theirs = made(torch.nn, kind, layers, bidirectional, bias, batch_first=batch_first)
        ours = made(nn, kind, layers, bidirectional, bias, batch_first=batch_first)
        inputs, call = arguments(theirs, form, with_state)
        expected = results_and_gradients(theirs, inputs, call)
        for ours.backend in ("auto", "fused") if layers == 1 else ("fused",):
            actual = results_and_gradients(ours, inputs, call)
            assert_close(actual, expected, **EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_draws_the_weights_and_the_dropout_of_torch(kind: str) -> None:
    theirs = made(torch.nn, kind, 3, True, True, dropout=0.4)
    ours = made(nn, kind, 3, True, True, dropout=0.4)
    assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    assert [list(map(id, layer)) for layer in ours.all_weights] == [
        [id(getattr(ours, name)) for name in names] for names in theirs._all_weights
    ]
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    torch.manual_seed(4)
    wanted = theirs(x)
    torch.manual_seed(4)
    assert_close(ours(x), wanted, **EXACT)
    assert not torch.equal(ours(x)[0], ours(x)[0])
    assert torch.equal(ours.eval()(x)[0], ours(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_dict_loads_in_both_directions(kind: str) -> None:
    theirs, ours = made(torch.nn, kind, 2, True, True), made(nn, kind, 2, True, True)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    assert_close(ours(x), theirs(x), **EXACT)
    back = made(torch.nn, kind, 2, True, True)
    back.load_state_dict(ours.state_dict())
    assert torch.equal(back(x)[0], theirs(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_training_changes_the_parameters_as_torch_does(kind: str) -> None:
    theirs, ours = made(torch.nn, kind, 2, False, True), made(nn, kind, 2, False, True)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    for module in (theirs, ours):
        optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            module.flatten_parameters()
            module(x)[0].square().sum().backward()
            optimizer.step()
    assert_close(ours.state_dict(), theirs.state_dict(), **EXACT)


def saved_and_loaded(module: Any) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def filled(module: Any) -> Any:
    """Return a module that was made without memory, and got the weights of another."""
    empty = nn.LSTM(INPUT, HIDDEN, num_layers=2, device="meta")
    empty.load_state_dict(module.state_dict(), assign=True)
    return empty


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "torch.save": saved_and_loaded,
    "double": lambda module: module.float().double(),
    "meta": filled,
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_computes_the_same_from_weights_of_its_own(way: str) -> None:
    module = nn.LSTM(INPUT, HIDDEN, num_layers=2).double()
    for parameter in module.parameters():
        parameter.data = parameter.data.float().double()
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    wanted = module(x)[0]
    copied = COPIES[way](module)
    assert torch.equal(copied(x)[0], wanted)
    with torch.no_grad():
        copied.weight_hh_l1 += 1
    assert not torch.equal(copied(x)[0], wanted)


def test_weights_may_be_replaced_for_a_call_or_computed_from_others() -> None:
    module = nn.GRU(INPUT, HIDDEN)
    x = torch.randn(TIME, BATCH, INPUT)
    wanted = module(x)[0]
    zeros = {name: torch.zeros_like(weight) for name, weight in module.named_parameters()}
    assert not functional_call(module, zeros, (x,))[0].any()
    assert torch.equal(module(x)[0], wanted)
    normed = parametrizations.weight_norm(module, "weight_hh_l0")
    y = normed(x)[0]
    assert_close(y, wanted, **TOLERANCE[torch.float32])
    y.sum().backward()
    gradient = normed.get_parameter("parametrizations.weight_hh_l0.original0").grad
    assert gradient is not None
    assert gradient.any()


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_hooks_that_compute_weights_train_as_torch_does(kind: str) -> None:
    modules = [getattr(library, kind)(INPUT, HIDDEN, dtype=torch.float64) for library in (nn, torch.nn)]
    modules[0].load_state_dict(modules[1].state_dict())
    optimizers = []
    for module in modules:
        torch.manual_seed(1)
        prune.random_unstructured(weight_norm(spectral_norm(module, "weight_hh_l0"), "weight_ih_l0"), "bias_hh_l0", 0.5)
        optimizers.append(torch.optim.SGD(module.parameters(), 0.1))
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    for _ in range(2):
        ys = [module(x)[0] for module in modules]
        assert_close(*ys, **TOLERANCE[torch.float64])
        for y, optimizer in zip(ys, optimizers, strict=True):
            optimizer.zero_grad()
            y.sin().sum().backward()
            optimizer.step()
    ours, theirs = (module.state_dict() for module in modules)
    assert ours.keys() == theirs.keys()
    assert_close(ours, theirs, **TOLERANCE[torch.float64])


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # dynamo asks for it itself
def test_a_compiled_model_computes_the_same() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(INPUT, HIDDEN, batch_first=True)
            self.head = nn.Linear(HIDDEN, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.lstm(x)[0][:, -1])

    net, x = Net(), torch.randn(BATCH, TIME, INPUT)
    assert isinstance(net.head, torch.nn.Linear)
    y = torch.compile(net, backend="eager")(x)
    assert_close(y, net(x))
    y.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_threads_share_a_module() -> None:
    module = nn.GRU(INPUT, HIDDEN, num_layers=2)
    inputs = [torch.randn(TIME, BATCH, INPUT) for _ in range(24)]
    wanted = [module(x)[0] for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for y, alone in zip(pool.map(lambda x: module(x)[0], inputs), wanted, strict=True):
            assert torch.equal(y, alone)


@pytest.mark.parametrize("batch_first", [False, True])
def test_outputs_can_be_viewed(batch_first: bool) -> None:
    y, h = nn.GRU(INPUT, HIDDEN, batch_first=batch_first)(torch.randn(TIME, BATCH, INPUT))
    assert y.view(-1, HIDDEN).shape == (TIME * BATCH, HIDDEN)
    assert h.is_contiguous()


def test_a_packed_output_has_the_order_of_its_input() -> None:
    packed = pack_sequence([torch.randn(time, INPUT) for time in (2, 5, 5, 1)], enforce_sorted=False)
    y, _ = nn.GRU(INPUT, HIDDEN)(packed)
    assert isinstance(y, PackedSequence)
    assert_close(y[1:], packed[1:], rtol=0, atol=0)


X = torch.zeros(TIME, BATCH, INPUT)
LOOSE: Any = nn  # for calls that a type checker refuses


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.LSTM(0, 5), ValueError, "input_size must be a positive whole number, got 0"),
        (lambda: nn.LSTM(4, 5, 0), ValueError, "num_layers must be a positive whole number, got 0"),
        (lambda: nn.LSTM(4, 5, proj_size=5), ValueError, "proj_size must be 0 or less than hidden_size, 5, got 5"),
        (lambda: nn.LSTM(4, 5, 2, dropout=1.5), ValueError, "dropout must be a probability in [0, 1], got 1.5"),
        (lambda: LOOSE.LSTM(4, 5, bias=1), TypeError, "bias must be True or False, got 1"),
        (lambda: LOOSE.GRU(4, 5, batch_first=None), TypeError, "batch_first must be True or False, got None"),
        (lambda: nn.RNN(4, 5, nonlinearity="tahn"), ValueError, "got 'tahn'; did you mean 'tanh'?"),
        (lambda: nn.LSMT, AttributeError, "no attribute 'LSMT'; did you mean 'LSTM'?"),
        (lambda: nn.LSTM(4, 5)([1.0]), TypeError, "input must be a tensor or a PackedSequence, got list"),
        (lambda: nn.LSTM(3, 5)(X), ValueError, "input must have shape (time, batch, 3), or (time, 3) without a batch"),
        (lambda: nn.LSTM(3, 5, batch_first=True)(X), ValueError, "(batch, time, 3), or (time, 3) without a batch, got"),
        (lambda: nn.LSTM(4, 5)(X[None]), ValueError, "without a batch, got (1, 7, 3, 4)"),
        (lambda: nn.LSTM(4, 5)(X.double()), TypeError, "dtype of the cell's parameters, torch.float32, got torch.flo"),
        (lambda: nn.LSTM(4, 5)(X[:, :0]), ValueError, "must hold at least one sequence"),
        (lambda: nn.GRU(4, 5)(X[:0], X[:1, :, :1].expand(1, 3, 5)), ValueError, "must hold at least one sequence"),
        (lambda: nn.LSTM(3, 5)(pack_sequence([X[:, 0]])), ValueError, "input must hold 3 features, got data (7, 4)"),
        (lambda: nn.LSTM(4, 5)(X, X), TypeError, "hx must be a pair of tensors (h, c), got Tensor"),
        (lambda: nn.LSTM(4, 5)(X, (X, X)), ValueError, "hx must have shape (1, 3, 5), (layers * directions, batch, si"),
        (lambda: nn.LSTM(4, 5)(X[:, 0], (X, X)), ValueError, "hx must have shape (1, 5), (layers * directions, size)"),
        (lambda: nn.GRU(4, 5)(X, (X,)), TypeError, "hx must be a tensor, got tuple"),
    ],
)
def test_a_mistake_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize("make", [nn.LSTM, partial(nn.Layer, LSTMCell)], ids=["LSTM", "Layer"])
def test_dropout_with_a_single_layer_is_warned_of_where_it_was_asked_for(make: Callable[..., Any]) -> None:
    with pytest.warns(UserWarning, match="acts between layers") as caught:
        make(INPUT, HIDDEN, dropout=0.5)
    assert caught[0].filename == __file__


def test_a_repr_has_the_options_that_are_not_usual() -> None:
    assert repr(nn.LSTM(4, 5)) == "LSTM(4, 5)"
    module = nn.RNN(4, 5, 2, "relu", bias=False, dropout=0.5)
    assert repr(module) == "RNN(4, 5, num_layers=2, nonlinearity='relu', bias=False, dropout=0.5)"
