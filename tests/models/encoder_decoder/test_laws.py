"""Steps are the whole target, padding and batch change nothing, any cell stands on either side."""

from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels.cells import ALL_CELLS, Cell
from seqmodels.decoding import Hypothesis, beam_search, greedy
from seqmodels.layers import AdditiveAttention
from seqmodels.models import Copies
from tests.models.encoder_decoder.small import (
    DOUBLE,
    END,
    KINDS,
    LENGTHS,
    SOURCES,
    START,
    TARGETS,
    batch,
    copies_of,
    network,
    stack,
)

ARTICLE_CELLS = ALL_CELLS[:9]


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


@pytest.mark.parametrize("kind", ["additive", "context", "copy output"])
def test_under_autocast_probabilities_are_float32(kind: str) -> None:
    model = network(kind).float()
    source, target = batch()
    exact, _ = model(source, target, LENGTHS, copies=copies_of(model))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log_probs, _ = model(source, target, LENGTHS, copies=copies_of(model))
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp(), exact.exp(), rtol=0.05, atol=0.01)


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
