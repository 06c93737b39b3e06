"""The encoder-decoder network: steps are the whole target, batches change nothing, any cell on either side."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqmodels.cells import ALL_CELLS, Cell, ElmanCell, GRUCell, JordanCell, LearnedInitialState, LSTMCell, Zoneout
from seqmodels.decoding import Hypothesis, beam_search, greedy
from seqmodels.layers import AdditiveAttention, DotAttention, GeneralAttention, SelfAttention, recurrent_stack
from seqmodels.models import Copies, EncoderDecoder, scheduled_sampling
from seqmodels.models.encoder_decoder.bridge import Bridge
from seqmodels.sequence import leaves
from tests.conftest import TOLERANCE

DOUBLE = TOLERANCE[torch.float64]
SOURCES, TARGETS, START, END = 11, 9, 2, 3
LENGTHS = torch.tensor([5, 1, 3])
COPIES = Copies(torch.tensor([[4, 9, 10, 4, 8], [9, 0, 0, 0, 0], [5, 6, 9, 0, 0]]), extra=2)
ARTICLE_CELLS = ALL_CELLS[:9]
KINDS: dict[str, dict[str, Any]] = {
    "none": {"attention": None},
    "additive": {"attention": AdditiveAttention},
    "dot": {"attention": DotAttention},
    "general": {"attention": GeneralAttention, "tie_weights": True},
    "coverage": {"attention": partial(AdditiveAttention, coverage=True)},
    "output": {"attention": GeneralAttention, "input_feeding": "output"},
    "context": {"attention": AdditiveAttention, "input_feeding": "context"},
    "covered context": {"attention": partial(AdditiveAttention, coverage=True), "input_feeding": "context"},
    "copy": {"attention": GeneralAttention, "copy": True},
    "copy output": {"attention": partial(AdditiveAttention, coverage=True), "input_feeding": "output", "copy": True},
}


def stack(cell: Any, *sizes: int, **options: Any) -> Callable[..., Any]:
    return partial(recurrent_stack, cell, hidden_sizes=sizes or [6], **options)


def network(kind: str = "additive", **options: Any) -> EncoderDecoder:
    sizes = {"source_vocab_size": SOURCES, "target_vocab_size": TARGETS, "embedding_size": 5, "feature_size": 7}
    parts = {"encoder": stack(GRUCell, 3, bidirectional=True), "decoder": stack(LSTMCell)}
    return EncoderDecoder(**{**parts, **sizes, **KINDS[kind], **options}).double().eval()


def batch(steps: int = 4) -> tuple[Tensor, Tensor]:
    """Return sources of several lengths, and targets."""
    sources, targets = torch.randint(4, SOURCES, (3, 5)), torch.randint(4, TARGETS, (3, steps))
    targets[:, 0] = START
    return sources.masked_fill(torch.arange(5) >= LENGTHS[:, None], 0), targets


def copies_of(model: EncoderDecoder) -> Copies | None:
    return None if model.decoder.pointer is None else COPIES


@pytest.mark.parametrize("kind", KINDS)
def test_stepping_is_the_whole_target_at_once(kind: str) -> None:
    model = network(kind)
    source, target = batch()
    copies = copies_of(model)
    if copies is not None:
        target[0, 2] = TARGETS + 1  # a word that was copied: the decoder reads it as unknown
    whole, weights = model(source, target, LENGTHS, copies=copies)
    state = model.encode(source, LENGTHS, copies)
    for step in range(4):
        log_probs, state = model.step(target[:, step], state)
        torch.testing.assert_close(log_probs, whole[:, step], **DOUBLE)
    totals = whole.exp().sum(-1)
    torch.testing.assert_close(totals, torch.ones_like(totals), **DOUBLE)
    if kind == "none":
        assert weights.shape == (3, 4, 0)
    else:
        torch.testing.assert_close(state.coverage, weights.sum(1), **DOUBLE)
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4).double(), **DOUBLE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_rows_alone_and_padding_is_never_read(kind: str) -> None:
    model = network(kind)
    source, target = batch()
    copies = copies_of(model)
    together, weights = model(source, target, LENGTHS, copies=copies)
    for row, length in enumerate(LENGTHS.tolist()):
        padded = torch.randint(SOURCES, (1, 9))  # rubbish where the source ends
        padded[:, :length] = source[row, :length]
        alone = None if copies is None else Copies(copies.ids[row : row + 1, :length], copies.extra)
        longer = (
            None
            if copies is None
            else Copies(torch.cat([copies.ids[row : row + 1, :length], padded[:, length:]], 1), 2)
        )
        for x, lengths, ids in (
            (source[row : row + 1, :length], None, alone),
            (padded, LENGTHS[row : row + 1], longer),
        ):
            log_probs, mine = model(x, target[row : row + 1, :3], lengths, copies=ids)
            torch.testing.assert_close(log_probs[0], together[row, :3], **DOUBLE)
            if kind != "none":
                torch.testing.assert_close(mine[0, :, :length], weights[row, :3, :length], **DOUBLE)


@pytest.mark.parametrize("kind", ["none", "context", "copy"])
def test_hypotheses_do_not_depend_on_the_batch_that_a_source_is_in(kind: str) -> None:
    model = network(kind)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-1, 1)  # sharper than it starts, so that rows differ
    source, _ = batch()
    copies = copies_of(model)
    options: dict[str, Any] = {"end": END, "beam": 4, "n_best": 2, "length_penalty": 0.6}
    if kind != "none":
        options |= {"coverage_penalty": 0.3, "coverage_of": model.coverage}

    def found(rows: slice, width: int) -> list[list[Hypothesis]]:
        ids = None if copies is None else Copies(copies.ids[rows, :width], copies.extra)
        state = model.encode(source[rows, :width], LENGTHS[rows], ids)
        limit = 3 * LENGTHS[rows] + 1
        return beam_search(model.step, state, start=torch.full_like(limit, START), max_length=limit, **options)

    together = found(slice(3), 5)
    for row, length in enumerate(LENGTHS.tolist()):
        (alone,) = found(slice(row, row + 1), length)
        assert [one.tokens for one in alone] == [one.tokens for one in together[row]]
        assert [one.score for one in alone] == pytest.approx([one.score for one in together[row]])


@pytest.mark.parametrize("cell", ARTICLE_CELLS, ids=lambda cell: cell.__name__)
def test_every_cell_of_an_article_encodes_and_decodes_with_any_other(cell: type[Cell[Any]]) -> None:
    other = ARTICLE_CELLS[ARTICLE_CELLS.index(cell) - 1]
    encoder, decoder = stack(cell, 4, 3, bidirectional=True), stack(other, 6)
    model = network("additive", encoder=encoder, decoder=decoder)
    source, target = batch()
    log_probs, _ = model(source, target, LENGTHS)
    loss = -log_probs.gather(-1, target[:, 1:, None]).mean()
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    assert all(bool(gradient.isfinite().all()) and bool(gradient.any()) for gradient in gradients)
    state = model.encode(source, LENGTHS)
    for step in range(2):
        stepped, state = model.step(target[:, step], state)
        torch.testing.assert_close(stepped, log_probs[:, step], **DOUBLE)


def test_without_feeding_the_recurrence_runs_once_over_a_target_and_keys_are_projected_once() -> None:
    calls: list[str] = []
    for kind, times in (("additive", 1), ("coverage", 1), ("context", 4)):
        model = network(kind)
        assert isinstance(model.decoder.attention, AdditiveAttention)
        model.decoder.recurrent.register_forward_hook(lambda *_: calls.append("recurrent"))
        model.decoder.attention.key.register_forward_hook(lambda *_: calls.append("keys"))
        source, target = batch()
        model(source, target, LENGTHS)
        assert calls.count("recurrent") == times
        assert calls.count("keys") == 1
        calls.clear()
        state = model.encode(source, LENGTHS)
        beam_search(model.step, state, start=target[:, 0], end=END, max_length=5, beam=3)
        assert calls.count("keys") == 1
        calls.clear()


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


def test_own_tokens_are_read_with_the_given_probability() -> None:
    model = network("output")
    source, target = batch(steps=6)
    given, _ = model(source, target, LENGTHS)
    found = greedy(model.step, model.encode(source, LENGTHS), start=target[:, 0], end=-1, max_length=5)
    written = torch.cat([target[:, :1], torch.tensor([one.tokens for (one,) in found])], 1)
    own, _ = model(source, written, LENGTHS)
    always, _ = model(source, target, LENGTHS, own_tokens=1.0)
    torch.testing.assert_close(always, own, **DOUBLE)
    mixed, _ = model(source, target, LENGTHS, own_tokens=0.5)
    assert not any(torch.allclose(mixed, other) for other in (given, own))
    never, _ = model(source, target, LENGTHS, own_tokens=1e-12)
    torch.testing.assert_close(never, given, **DOUBLE)


def test_with_own_tokens_a_mask_of_the_embeddings_holds_for_the_whole_row() -> None:
    model = network("additive", dropout_input=0.5).train()
    seen: list[Tensor] = []
    model.decoder.recurrent.register_forward_pre_hook(lambda _, x: seen.append(x[0] == 0))
    source, target = batch()
    model(source, target, LENGTHS, own_tokens=0.5)
    assert len(seen) == 4
    assert all(torch.equal(zeros, seen[0]) for zeros in seen)
    assert 0 < int(seen[0].sum()) < seen[0].numel()


def test_embeddings_are_shared_and_tied() -> None:
    model = network("general", source_vocab_size=TARGETS, share_embeddings=True)
    names = [name for name in dict(model.named_parameters()) if "embedding" in name or "scores" in name]
    assert names == ["decoder.embedding.weight", "decoder.scores.bias"]
    assert len(model.state_dict()) == len(list(model.parameters()))
    with pytest.raises(ValueError, match="share_embeddings needs one vocabulary of sources and targets, got 11 and 9"):
        network(share_embeddings=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "none", "copy": True}, "copy=true needs attention: attention=additive, general or dot"),
        ({"kind": "none", "input_feeding": "output"}, "input_feeding=output needs attention"),
        ({"input_feeding": "states"}, "input_feeding must be one of none, output, context, got 'states'"),
        ({"decoder": stack(GRUCell, 6, bidirectional=True)}, "decoder must read forwards, got .* bidirectional=true"),
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


def test_it_learns_to_write_a_source_backwards() -> None:
    sizes: dict[str, Any] = {"source_vocab_size": 8, "target_vocab_size": 8, "embedding_size": 16, "feature_size": 32}
    model = network("general", encoder=stack(GRUCell, 24, bidirectional=True), decoder=stack(LSTMCell, 32), **sizes)
    optimizer = torch.optim.Adam(model.float().train().parameters(), 0.01)
    for _ in range(80):
        source = torch.randint(4, 8, (32, 4))
        target = torch.cat([torch.full((32, 1), START), source.flip(1), torch.full((32, 1), END)], 1)
        loss = -model(source, target[:, :-1]).log_probs.gather(-1, target[:, 1:, None]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = beam_search(model.eval().step, model.encode(source), start=target[:, 0], end=END, max_length=9, beam=3)
    assert [one.tokens for (one,) in found] == source.flip(1).tolist()


@pytest.mark.slow
def test_a_thousand_sources_at_once_are_found_ten_times_as_fast_as_one_by_one() -> None:
    sizes = {"source_vocab_size": 60, "target_vocab_size": 50, "embedding_size": 64, "feature_size": 64}
    parts = {"encoder": stack(LSTMCell, 64, bidirectional=True), "decoder": stack(LSTMCell, 128)}
    model = network("additive", **parts, **sizes).float()
    source, lengths = torch.randint(4, 60, (1000, 12)), torch.randint(3, 13, (1000,))

    def seconds(rows: int, at_once: int) -> float:
        begin = time.perf_counter()
        for part in torch.arange(rows).split(at_once):
            with torch.inference_mode():
                state = model.encode(source[part, : int(lengths[part].max())], lengths[part])
            start = torch.full_like(part, START)
            beam_search(model.step, state, start=start, end=END, max_length=20, beam=5, length_penalty=1.0)
        return time.perf_counter() - begin

    seconds(3, 1)
    assert seconds(1000, 1000) * 10 <= seconds(50, 1) * 20
