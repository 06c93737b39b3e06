"""Convolution below and self-attention above recurrent layers: shapes, padding, gradients."""

from collections.abc import Callable
from functools import partial
from math import ceil

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells import GRUCell
from seqmodels.layers import ConcatInput, Convolution, ConvolutionStack, InstanceNorm, Recurrent, SelfAttention
from seqmodels.models import SequenceClassifier
from seqmodels.models.pooling import concat, every_step, mean
from tests.conftest import TOLERANCE

BATCH, TIME, INPUT = 4, 11, 6
LENGTHS = torch.tensor([11, 1, 7, 4])
DOUBLE = TOLERANCE[torch.float64]
CONVOLUTIONS = [
    partial(Convolution, channels=5, kernel_size=kernel_size, stride=stride, pool=pool)
    for kernel_size, stride, pool in ((3, 1, 1), (4, 1, 1), (3, 2, 1), (5, 1, 3), (2, 3, 2), (1, 4, 1))
]
CONVOLUTIONS += [partial(Convolution, channels=5, kernel_size=4, stride=2, norm="instance")]
STACKS = [partial(ConvolutionStack, channels=5, kernel_sizes=sizes, pool=2) for sizes in ((4, 3), (3,))]
STACKS += [partial(ConvolutionStack, channels=5, kernel_sizes=(4, 3), concat_input=True)]


def inputs() -> Tensor:
    return torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)


@pytest.mark.parametrize("make", CONVOLUTIONS)
def test_a_convolution_of_a_padded_row_is_that_of_the_row_alone(make: Callable[..., Convolution]) -> None:
    layer, x = make(INPUT).double(), inputs()
    x[torch.arange(TIME) >= LENGTHS[:, None]] = torch.nan
    y, lengths = layer(x, LENGTHS)
    assert lengths is not None
    assert y.shape == (BATCH, int(lengths.max()), 5)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, none = layer(x[row : row + 1, :length])
        assert none is None
        assert int(lengths[row]) == alone.shape[1] == ceil(ceil(length / layer.stride) / layer.pool)
        torch.testing.assert_close(y[row, : alone.shape[1]], alone[0], **DOUBLE)
        assert not y[row, alone.shape[1] :].any()


def test_an_instance_is_normalised_over_its_own_steps() -> None:
    norm, x = InstanceNorm(INPUT).double(), inputs()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    y = norm(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = x[row, :length]
        alone = (alone - alone.mean(0)) / (alone.var(0, correction=0) + norm.eps).sqrt()
        torch.testing.assert_close(y[row, :length], alone * norm.weight + norm.bias, **DOUBLE)


def test_a_stack_of_convolutions_is_one_after_the_other() -> None:
    stack, x = ConvolutionStack(INPUT, channels=5, kernel_sizes=(4, 3, 2), pool=2).double(), inputs()
    y, lengths = x, LENGTHS
    for layer in stack.layers:
        y, lengths = layer(y, lengths)
    assert lengths.tolist() == [2, 1, 1, 1]
    together, shorter = stack(x, LENGTHS)
    assert torch.equal(shorter, lengths)
    torch.testing.assert_close(together, y, **DOUBLE)
    assert [parameter.shape[1] for parameter in stack.parameters() if parameter.dim() == 3] == [INPUT, 5, 5]


def test_the_input_of_a_stack_stands_before_its_output_and_is_0_past_a_length() -> None:
    stack, x = ConvolutionStack(INPUT, channels=5, concat_input=True).double(), inputs()
    x[torch.arange(TIME) >= LENGTHS[:, None]] = torch.nan
    y, lengths = stack(x, LENGTHS)
    stack.concat_input = False
    assert stack.output_size == y.shape[-1] == INPUT + 5
    assert torch.equal(y, torch.cat((x.nan_to_num(0), stack(x, LENGTHS)[0]), dim=-1))
    assert torch.equal(lengths, LENGTHS)


def test_the_input_stands_before_the_output_and_is_0_past_a_length() -> None:
    layer, x = ConcatInput(Recurrent(GRUCell(INPUT, 3))).double(), inputs()
    x[torch.arange(TIME) >= LENGTHS[:, None]] = torch.nan
    y, state = layer(x, lengths=LENGTHS)
    inner, expected = layer.layer(x, None, LENGTHS)
    assert layer.output_size == y.shape[-1] == INPUT + 3
    assert torch.equal(y[..., INPUT:], inner)
    assert torch.equal(state.h, expected.h)
    assert torch.equal(y[..., :INPUT], x.nan_to_num(0))


def test_a_convolution_is_what_its_formula_says() -> None:
    layer, x = Convolution(INPUT, channels=5, kernel_size=3, pool=2).double(), inputs()
    padded = F.pad(x, (0, 0, 1, 1))
    weight, bias = layer.convolution.weight, layer.convolution.bias
    assert bias is not None
    steps = [(padded[:, t : t + 3].transpose(1, 2)[:, None] * weight).sum((2, 3)) + bias for t in range(TIME)]
    pairs = [torch.stack(steps[t : t + 2]).relu().amax(0) for t in range(0, TIME, 2)]
    torch.testing.assert_close(layer(x)[0], torch.stack(pairs, 1), **DOUBLE)


def test_attention_of_a_padded_row_is_that_of_the_row_alone() -> None:
    layer, x = SelfAttention(INPUT, heads=3).double(), inputs()
    x[torch.arange(TIME) >= LENGTHS[:, None]] = torch.nan
    y, state = layer(x, lengths=LENGTHS)
    assert state == ()
    for row, length in enumerate(LENGTHS.tolist()):
        alone, _ = layer(x[row : row + 1, :length])
        torch.testing.assert_close(y[row, :length], alone[0], **DOUBLE)
        assert not y[row, length:].any()


def test_attention_is_that_of_torch_with_the_same_weights() -> None:
    layer, x = SelfAttention(INPUT, heads=2).double(), inputs()
    torchs = nn.MultiheadAttention(INPUT, 2, batch_first=True).double()
    torchs.load_state_dict(
        {
            "in_proj_weight": layer.queries_keys_values.weight,
            "in_proj_bias": layer.queries_keys_values.bias,
            "out_proj.weight": layer.joined.weight,
            "out_proj.bias": layer.joined.bias,
        }
    )
    padding = torch.arange(TIME) >= LENGTHS[:, None]
    expected = layer.norm(x + torchs(x, x, x, key_padding_mask=padding, need_weights=False)[0])
    real = ~padding
    torch.testing.assert_close(layer(x, lengths=LENGTHS)[0][real], expected[real], **DOUBLE)


@pytest.mark.parametrize("make", [CONVOLUTIONS[4], partial(SelfAttention, heads=2)])
def test_gradients_are_those_of_finite_differences(make: Callable[..., nn.Module]) -> None:
    layer = make(4).double()
    x = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([5, 3])
    assert torch.autograd.gradcheck(lambda value: layer(value, lengths=lengths)[0], (x,))


@pytest.mark.parametrize("front", [None, *CONVOLUTIONS, *STACKS])
@pytest.mark.parametrize("top", [None, partial(SelfAttention, heads=2)])
def test_padding_changes_no_answer_of_a_network_with_both(
    front: Callable[[int], Convolution | ConvolutionStack] | None, top: Callable[[int], SelfAttention] | None
) -> None:
    model = SequenceClassifier(
        partial(GRUCell, hidden_size=4),
        vocab_size=9,
        embedding_size=INPUT,
        output_size=3,
        bidirectional=True,
        concat_input=top is None,
        front=front,
        top=top,
        pooling=concat if top is None else mean,
    ).double()
    tokens = torch.randint(9, (BATCH, TIME))
    together = model(tokens, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(together[row : row + 1], model(tokens[row : row + 1, :length]), **DOUBLE)


def test_dropout_acts_in_training_alone() -> None:
    model = SequenceClassifier(
        partial(GRUCell, hidden_size=4),
        vocab_size=9,
        embedding_size=5,
        output_size=3,
        dropout_embedding=0.4,
        dropout_input=0.3,
        dropout_output=0.2,
    )
    tokens = torch.randint(9, (BATCH, TIME))
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_a_front_that_shortens_is_refused_where_every_step_is_answered_for() -> None:
    cell = partial(GRUCell, hidden_size=4)
    with pytest.raises(ValueError, match="front must leave all steps"):
        SequenceClassifier(cell, input_size=3, output_size=2, front=CONVOLUTIONS[2], pooling=every_step)
    model = SequenceClassifier(cell, input_size=INPUT, output_size=2, front=CONVOLUTIONS[0], pooling=every_step)
    assert model(inputs().float(), LENGTHS).shape == (BATCH, TIME, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Convolution(3, stride=0), "stride must be at least 1, got 0"),
        (
            lambda: Convolution(3, norm="batch"),  # type: ignore[arg-type]
            "norm must be None or one of instance, got 'batch'",
        ),
        (lambda: ConvolutionStack(3, kernel_sizes=()), "kernel_sizes must have one size for each layer, got none"),
        (
            lambda: ConvolutionStack(3, pool=2, concat_input=True),
            "concat_input needs as many outputs as inputs, pool=1, ",
        ),
        (lambda: SelfAttention(6, heads=4), "heads must divide the 6 features that the layer reads, got 4"),
    ],
)
def test_sizes_that_cannot_be_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
