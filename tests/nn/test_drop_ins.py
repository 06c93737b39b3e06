"""Drop-ins compute what ``torch.nn`` computes: outputs, states and every gradient, whatever the options."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence
from torch.testing import assert_close

from seqmodels import nn
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
        for ours.backend in ("auto", "fused"):
            actual = results_and_gradients(ours, inputs, call)
            assert_close(actual, expected, **EXACT)
