"""The parts of the encoder-decoder network: bridge, copying, embeddings, schedules, and what they refuse."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from seqmodels.cells import Cell, ElmanCell, GRUCell, JordanCell, LearnedInitialState, LSTMCell, Zoneout
from seqmodels.layers import SelfAttention, recurrent_stack
from seqmodels.models import Copies, EncoderDecoder, scheduled_sampling
from seqmodels.models.encoder_decoder.bridge import Bridge
from seqmodels.sequence import leaves
from tests.models.encoder_decoder.small import COPIES, DOUBLE, LENGTHS, TARGETS, batch, network, stack


def test_states_of_one_cell_and_width_pass_over_the_bridge_as_they_are() -> None:
    encoder = recurrent_stack(LSTMCell, 5, hidden_sizes=[6, 4])
    decoder = recurrent_stack([partial(GRUCell, hidden_size=3), partial(LSTMCell, hidden_size=4)], 5)
    bridge = Bridge(encoder, decoder)
    _, states = encoder(torch.randn(2, 7, 5))
    (lower, upper), query = bridge(states, bridge_start(decoder))
    assert all(torch.equal(one, other) for one, other in zip(upper, states[1], strict=True))
    torch.testing.assert_close(lower.h, bridge.maps[0](torch.cat([*states[0]], 1)))
    assert query == ()
    assert [type(part).__name__ for part in bridge.maps] == ["Linear", "Identity"]


def bridge_start(decoder: Any) -> tuple[Any, ...]:
    return tuple(layer.cell.initial_state(torch.zeros(2, 1)) for layer in decoder.layers)


@pytest.mark.parametrize(
    ("below", "above", "sources"), [((6, 4, 3), (5,), [2]), ((6,), (5, 4), [0, 0]), ((6, 4), (5, 3), [0, 1])]
)
def test_the_top_layers_belong_together(below: tuple[int, ...], above: tuple[int, ...], sources: list[int]) -> None:
    bridge = Bridge(recurrent_stack(GRUCell, 5, hidden_sizes=below), recurrent_stack(ElmanCell, 5, hidden_sizes=above))
    assert bridge.sources == sources


def test_wrapped_cells_and_cells_with_another_output_are_bridged() -> None:
    def zoned(input_size: int, hidden_size: int) -> Cell[Any]:
        return LearnedInitialState(Zoneout(LSTMCell(input_size, hidden_size), {"c": 0.2}))

    jordan = partial(recurrent_stack, partial(JordanCell, hidden_size=4, output_size=6))
    model = network("context", encoder=stack(zoned, 6), decoder=jordan)
    source, target = batch()
    whole, _ = model(source, target, LENGTHS)
    state = model.encode(source, LENGTHS)
    assert [leaf.shape for leaf in leaves(state.recurrent)] == [(3, 6)]
    torch.testing.assert_close(model.step(target[:, 0], state)[0], whole[:, 0], **DOUBLE)


def test_a_copied_word_has_the_attention_of_its_places_in_the_source() -> None:
    model = network("copy")
    assert model.decoder.pointer is not None
    nn.init.constant_(model.decoder.pointer.gate.bias, -50.0)  # copies always
    source, target = batch()
    log_probs, weights = model(source, target, LENGTHS, copies=COPIES)
    assert log_probs.shape == (3, 4, TARGETS + 2)
    expected = torch.zeros(3, 4, TARGETS + 2).double()
    for row, length in enumerate(LENGTHS.tolist()):
        for place in range(length):
            expected[row, :, COPIES.ids[row, place]] += weights[row, :, place]
    torch.testing.assert_close(log_probs.exp(), expected, rtol=1e-9, atol=1e-12)


def test_embeddings_are_shared_and_tied() -> None:
    model = network("general", source_vocab_size=TARGETS, share_embeddings=True)
    names = [name for name in dict(model.named_parameters()) if "embedding" in name or "scores" in name]
    assert names == ["decoder.embedding.weight", "decoder.scores.bias", "decoder.scores.projection.weight"]
    assert len(model.state_dict()) == len(list(model.parameters()))
    with pytest.raises(ValueError, match="share_embeddings needs one vocabulary of sources and targets, got 11 and 9"):
        network(share_embeddings=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "none", "copy": True}, "copy=true needs attention: attention=additive, general or dot"),
        ({"kind": "none", "input_feeding": "output"}, "input_feeding=output needs attention"),
        ({"input_feeding": "states"}, "input_feeding must be one of none, output, context, got 'states'"),
        ({"decoder": stack(GRUCell, 6, bidirectional=True)}, "decoder must read forwards, got .*bidirectional=true"),
        ({"kind": "dot", "decoder": stack(GRUCell, 4)}, "attention=dot needs .* got 4 and 6 features"),
    ],
)
def test_parts_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**options)


def test_an_encoder_is_made_of_recurrent_layers() -> None:
    with pytest.raises(TypeError, match="encoder must make a sequence layer, as recurrent_stack does, got Linear"):
        network(encoder=lambda input_size: nn.Linear(input_size, 4))
    with pytest.raises(TypeError, match="made of recurrent layers, got SelfAttention"):
        network(encoder=lambda input_size: SelfAttention(input_size, heads=1))


def test_what_cannot_be_read_is_refused_by_name() -> None:
    model = network()
    source, target = batch()
    with pytest.raises(ValueError, match=r"source must be whole numbers \(batch, time\), got torch.float32 \(3, 5\)"):
        model(source.float(), target)
    with pytest.raises(ValueError, match=r"target must be whole numbers \(batch, time\), got torch.int64 \(3,\)"):
        model(source, target[:, 0])
    with pytest.raises(ValueError, match="source and target must have one number of rows, got 3 and 2"):
        model(source, target[:2])
    with pytest.raises(ValueError, match="a token must be 0 to 10, got 11 in row 0, step 1"):
        model(torch.tensor([[4, 11]]), target[:1])
    with pytest.raises(ValueError, match="a token must be 0 to 8, got 9 in row 0, step 1"):
        model(source[:1], torch.tensor([[2, 9]]))
    with pytest.raises(ValueError, match=r"lengths must lie in \[1, 5\], the time of x; row 1 is 0"):
        model(source, target, torch.tensor([5, 0, 3]))
    with pytest.raises(ValueError, match="a coverage penalty needs a network with attention, got one without"):
        EncoderDecoder.coverage(network("none").encode(source))
    copier = network("copy")
    with pytest.raises(ValueError, match="copy=true needs copies=Copies"):
        copier(source, target)
    with pytest.raises(ValueError, match=r"copies.ids must have shape \(3, 5\), got \(3, 4\)"):
        copier(source, target, copies=Copies(COPIES.ids[:, :4], 2))


def test_schedules_start_and_end_where_they_say() -> None:
    linear = partial(scheduled_sampling.linear, first=0.1, last=0.6, steps=50)
    assert [linear(0), linear(25), linear(50), linear(10**9)] == pytest.approx([0.1, 0.35, 0.6, 0.6])
    rising = [scheduled_sampling.inverse_sigmoid(step, scale=20) for step in range(0, 10**6, 10)]
    assert rising == sorted(rising)
    assert rising[0] == pytest.approx(1 - 20 / 21)
    assert rising[-1] == 1.0
    with pytest.raises(ValueError, match=r"rate must be a probability in \[0, 1\], got 1.5"):
        scheduled_sampling.constant(0, rate=1.5)
    with pytest.raises(ValueError, match=r"last must be a probability in \[0, 1\], got -1"):
        scheduled_sampling.linear(0, last=-1, steps=3)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        scheduled_sampling.linear(0, last=1, steps=0)
    with pytest.raises(ValueError, match="scale must be at least 1, got 0"):
        scheduled_sampling.inverse_sigmoid(0, scale=0)
