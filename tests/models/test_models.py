"""Networks: their printed sizes, and that padding changes nothing."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from seqmodels.cells import ConcatLinearCell, ElmanCell, GRUCell, LSTMCell
from seqmodels.layers import SequenceLayer
from seqmodels.models import DenseClassifier, SequenceClassifier, SequenceRegressor
from seqmodels.models import pooling as poolings
from tests.conftest import TOLERANCE

BATCH, TIME, INPUT, HIDDEN, OUTPUT = 3, 7, 4, 5, 6
LENGTHS = torch.tensor([7, 1, 4])
POOLINGS = {name: getattr(poolings, name) for name in ("last", "mean", "maximum", "attention")}


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def network(**options: object) -> SequenceClassifier:
    build: Callable[..., SequenceClassifier] = SequenceClassifier
    return build(partial(GRUCell, hidden_size=HIDDEN), input_size=INPUT, output_size=OUTPUT, **options).double()


def inputs() -> Tensor:
    return torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)


def test_two_simple_recurrent_layers_and_one_output_have_the_printed_7937_parameters() -> None:
    model = SequenceRegressor(ElmanCell, input_size=10, output_size=1, hidden_sizes=[64, 32])
    assert parameters(model) == 7937


@pytest.mark.parametrize("features", [1, 3])
def test_two_lstm_layers_of_50_and_one_output_have_200_f_plus_30451_parameters(features: int) -> None:
    model = SequenceRegressor(LSTMCell, input_size=features, output_size=1, hidden_sizes=[50, 50])
    assert parameters(model) == 200 * features + 30451


def test_the_linear_recurrent_module_has_the_parameters_of_its_two_linear_layers() -> None:
    cell = partial(ConcatLinearCell, hidden_size=HIDDEN)
    model = SequenceRegressor(cell, input_size=INPUT, output_size=OUTPUT)
    assert parameters(model) == (INPUT + HIDDEN) * HIDDEN + HIDDEN + HIDDEN * OUTPUT + OUTPUT


def test_relu_layers_of_128_and_64_on_rows_of_28_pixels_have_33098_parameters() -> None:
    cell = partial(ElmanCell, activation="relu")
    assert parameters(SequenceClassifier(cell, input_size=28, output_size=10, hidden_sizes=[128, 64])) == 33098


def test_the_dense_control_has_the_printed_109386_parameters() -> None:
    assert parameters(DenseClassifier(input_size=28, output_size=10, time=28)) == 109386


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_padded_batch_is_its_sequences_one_by_one(pooling: str, bidirectional: bool) -> None:
    model = network(pooling=POOLINGS[pooling], depth=2, bidirectional=bidirectional)
    x = inputs()
    alone = [model(x[row : row + 1, :length]) for row, length in enumerate(LENGTHS.tolist())]
    padding = torch.arange(TIME) >= LENGTHS[:, None]
    together = model(x.masked_fill(padding[..., None], 99.0), LENGTHS)
    assert together.shape == (BATCH, OUTPUT)
    torch.testing.assert_close(together, torch.cat(alone), **TOLERANCE[torch.float64])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_with_every_step_there_is_an_answer_at_every_real_step_whatever_the_padding(bidirectional: bool) -> None:
    model = network(pooling=poolings.every_step, depth=2, bidirectional=bidirectional)
    x = inputs()
    padding = torch.arange(TIME) >= LENGTHS[:, None]
    together = model(x.masked_fill(padding[..., None], 99.0), LENGTHS)
    assert together.shape == (BATCH, TIME, OUTPUT)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(x[row : row + 1, :length])[0]
        torch.testing.assert_close(together[row, :length], alone, **TOLERANCE[torch.float64])


def test_tokens_are_read_through_an_embedding() -> None:
    cell = partial(GRUCell, hidden_size=HIDDEN)
    model = SequenceClassifier(cell, vocab_size=11, embedding_size=2, output_size=OUTPUT)
    tokens = torch.randint(11, (BATCH, TIME))
    assert model.embedding is not None
    numbers = SequenceClassifier(cell, input_size=2, output_size=OUTPUT)
    numbers.load_state_dict({name: value for name, value in model.state_dict().items() if "embedding" not in name})
    torch.testing.assert_close(
        model(tokens, LENGTHS), numbers(model.embedding(tokens), LENGTHS), **TOLERANCE[torch.float32]
    )
    with pytest.raises(ValueError, match=r"reads tokens \(batch, time\), got torch.float32"):
        model(torch.zeros(BATCH, TIME))
    with pytest.raises(ValueError, match=r"reads numbers \(batch, time, input\), got torch.int64"):
        numbers(tokens)


@pytest.mark.parametrize("sizes", [{}, {"input_size": 3, "vocab_size": 5}])
def test_a_network_reads_numbers_or_tokens(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="give input_size or vocab_size, not both"):
        SequenceClassifier(partial(GRUCell, hidden_size=HIDDEN), output_size=OUTPUT, **sizes)  # type: ignore[arg-type]


def test_the_dense_control_does_not_see_padding() -> None:
    model = DenseClassifier(input_size=INPUT, output_size=OUTPUT, time=TIME).double()
    x = inputs()
    alone = [model(x[row : row + 1, :length]) for row, length in enumerate(LENGTHS.tolist())]
    torch.testing.assert_close(model(x, LENGTHS), torch.cat(alone), **TOLERANCE[torch.float64])


@pytest.mark.parametrize("shape", [(BATCH, INPUT), (BATCH, TIME + 1, INPUT), (BATCH, TIME, INPUT + 1)])
def test_the_dense_control_refuses_what_it_cannot_read(shape: tuple[int, ...]) -> None:
    model = DenseClassifier(input_size=INPUT, output_size=OUTPUT, time=TIME)
    with pytest.raises(ValueError, match=r"inputs must have shape \(batch, at most 7, 4\), got"):
        model(torch.zeros(shape))


def test_the_last_step_of_a_bidirectional_network_has_seen_the_whole_sequence_both_ways() -> None:
    model = network(bidirectional=True)
    x = inputs().requires_grad_()
    encoded = model.encode(x, LENGTHS)
    for half in (encoded[:, :HIDDEN], encoded[:, HIDDEN:]):
        (gradient,) = torch.autograd.grad(half.sum(), x, retain_graph=True)
        reached = gradient.abs().sum(-1) > 0
        assert torch.equal(reached, torch.arange(TIME) < LENGTHS[:, None])


def test_a_pooling_of_ones_own_is_called_with_the_layer() -> None:
    class FirstStep(nn.Module):
        def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
            return y[:, 0]

    def first(layer: SequenceLayer) -> nn.Module:
        assert layer.output_size == HIDDEN
        return FirstStep()

    model = network(pooling=first)
    x = inputs()
    assert torch.equal(model.encode(x), model.recurrent(x)[0][:, 0])


def test_an_initializer_gets_the_finished_network() -> None:
    def zero(module: nn.Module) -> nn.Module:
        for parameter in module.parameters():
            nn.init.zeros_(parameter)
        return module

    assert torch.equal(network(initializer=zero)(inputs()), torch.zeros(BATCH, OUTPUT, dtype=torch.float64))


def test_inputs_of_another_size_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(batch, time, 4\)"):
        network()(torch.zeros(BATCH, TIME, INPUT + 1, dtype=torch.float64))
