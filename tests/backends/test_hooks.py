"""Hooks of a cell run once per sequence, by whichever back-end, as they do on ``torch.nn``'s recurrent modules."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune, spectral_norm, weight_norm
from torch.testing import assert_close

from seqmodels.backends import BACKENDS, backends_for, unroll
from seqmodels.cells import Cell, GRUCell, LSTMCell, MinGRUCell, RecurrentDropout, Wrapper, Zoneout
from seqmodels.layers import Recurrent
from seqmodels.sequence import leaves
from tests.backends.fakes import BATCH, HIDDEN, INPUT, LENGTHS, TIME, assert_same, random_state, with_gradients
from tests.backends.test_backends_agree import MAKERS, drawn, others
from tests.conftest import TOLERANCE

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
EXACT = TOLERANCE[torch.float64]
HOOKS: tuple[Callable[[nn.Module, str], object], ...] = (
    spectral_norm,
    weight_norm,
    lambda cell, name: prune.random_unstructured(cell, name, 0.5),
)


def hooked(name: str) -> Cell[Any]:
    """Return a cell of which every weight matrix is normalised or pruned; which one how differs between cells."""
    torch.manual_seed(2)
    cell = drawn(name)
    core = cell.core if isinstance(cell, Wrapper) else cell
    matrices = [matrix for matrix, weight in core.named_parameters(recurse=False) if weight.dim() == 2]
    for index, matrix in enumerate(matrices, start=[*MAKERS].index(name)):
        HOOKS[index % len(HOOKS)](core, matrix)
    return cell


@pytest.fixture
def x() -> Tensor:
    return torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)


def trained(cell: Cell[Any], x: Tensor, backend: str) -> Iterator[dict[str, Tensor]]:
    """Yield what two steps of training compute, and then evaluation."""
    for _ in range(2):
        torch.manual_seed(1)
        found = with_gradients(cell, x, lengths=torch.tensor(LENGTHS), backend=backend)
        yield found
        with torch.no_grad():
            for name, parameter in cell.named_parameters():
                parameter.sub_(0.1 * found[f"gradient of {name}"])
    with torch.no_grad():
        yield {"y": unroll(cell.eval(), x, backend=backend)[0]}


@pytest.mark.parametrize("name", MAKERS)
def test_every_backend_trains_normalised_and_pruned_weights_alike(name: str, x: Tensor) -> None:
    expected = [*trained(hooked(name), x, "eager")]
    for backend in others(hooked(name), x):
        for actual, wanted in zip(trained(hooked(name), x, backend), expected, strict=True):
            assert_same(actual, wanted, backend)


class Call(NamedTuple):
    """What a hook was given."""

    module: nn.Module
    given: tuple[Any, ...]


def observed(module: nn.Module) -> list[Call]:
    """Register hooks of every kind; return the list of the calls that they will get."""
    calls: list[Call] = []
    module.register_forward_pre_hook(lambda m, given: calls.append(Call(m, given)))
    module.register_forward_pre_hook(lambda m, given, named: calls.append(Call(m, (*given, named))), with_kwargs=True)
    module.register_forward_hook(lambda m, given, result: calls.append(Call(m, (*given, result))))
    module.register_full_backward_hook(lambda m, wanted, given: calls.append(Call(m, (*wanted, *given))))
    return calls


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("backend", [*BACKENDS, "auto"])
def test_hooks_of_a_cell_see_what_those_of_its_layer_see(backend: str, backwards: bool, x: Tensor) -> None:
    cell: Cell[Any] = MinGRUCell(INPUT, HIDDEN).double() if backend == "scan" else LSTMCell(INPUT, HIDDEN).double()
    layer, state = Recurrent(cell, backend=backend, reverse=backwards), random_state(cell, x)
    outer, inner = observed(layer), observed(cell)
    layer(x.requires_grad_(), state)[0].sin().sum().backward()
    assert [call.module for call in inner] == [cell] * 4  # compared by identity
    assert len(outer) == 4
    for one, other in zip(inner, outer, strict=True):
        assert_close(tensors(one), tensors(other), rtol=0, atol=0)


def tensors(call: Call) -> list[Tensor]:
    return [leaf for leaf in leaves(call.given) if isinstance(leaf, Tensor)]


@pytest.mark.parametrize("backend", ["eager", "fused", "native"])
def test_what_hooks_return_replaces_input_and_output(backend: str, x: Tensor) -> None:
    cell = LSTMCell(INPUT, HIDDEN).double()
    y, state = unroll(cell, x.sin(), backend=backend)
    cell.register_forward_pre_hook(lambda cell, given: (given[0].sin(), given[1]))
    cell.register_forward_hook(lambda cell, given, result: (result[0].cos(), result[1]))
    actual, final = unroll(cell, x, backend=backend)
    assert_close(actual, y.cos(), **EXACT)
    assert_close(leaves(final), leaves(state), **EXACT)


def test_a_wrapped_cell_runs_its_forward_pre_hooks_alone(x: Tensor) -> None:
    cell = Zoneout(RecurrentDropout(GRUCell(INPUT, HIDDEN).double(), 0.2), {"h": 0.1})
    order: list[nn.Module] = []
    for one in cell.modules():
        one.register_forward_pre_hook(lambda module, given: order.append(module))
    cell.core.register_forward_hook(lambda *given: order.clear())
    for run in (lambda: unroll(cell, x), lambda: cell(x[:, 0])):
        order.clear()
        run()
        assert order == [cell, cell.cell, cell.core]


def test_a_wrapped_cell_may_not_replace_its_input(x: Tensor) -> None:
    cell = Zoneout(GRUCell(INPUT, HIDDEN).double(), {"h": 0.1})
    cell.core.register_forward_pre_hook(lambda cell, given: given)
    with pytest.raises(TypeError, match="inside a Zoneout must return None; to replace the input, register it on the"):
        unroll(cell, x)


def test_a_hook_that_remembers_does_not_cost_the_kernel(x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    cell = GRUCell(INPUT, HIDDEN).double()
    calls = observed(cell)
    for _ in range(20):  # more often than a cell may change
        unroll(cell, x, backend="fused")
    assert len(calls) == 60
    assert not caplog.records


def test_a_single_step_of_a_wrapper_normalises_the_weights_inside(x: Tensor) -> None:
    cell: Any = Zoneout(GRUCell(INPUT, HIDDEN).double(), {"h": 0.1})
    spectral_norm(cell.core, "weight_hh")
    for _ in range(2):
        cell(x[:, 0], random_state(cell, x))[0].sum().backward()
    assert cell.core.weight_hh_orig.grad.any()


@pytest.mark.parametrize("hook", HOOKS, ids=["spectral", "weight", "pruned"])
def test_a_used_cell_can_be_asked_for_its_backends_and_saved(hook: Callable[..., object], x: Tensor) -> None:
    torch.manual_seed(4)
    layers = [Recurrent(GRUCell(INPUT, HIDDEN).double()) for _ in range(2)]
    for layer in layers:
        hook(layer.cell, "weight_hh")
    layers[0](x)
    assert backends_for(layers[0].cell, x)["fused"] is None
    layers[1].load_state_dict(layers[0].state_dict())
    for one, other in zip(*(layer.eval()(x)[0] for layer in layers), strict=True):
        assert torch.equal(one, other)
