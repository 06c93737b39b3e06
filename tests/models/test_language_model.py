"""The language model: text in windows is text in one, step by step is all at once; its scores, its dropout."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells import Cell, GRUCell, LearnedInitialState, LSTMCell, MinGRUCell, Zoneout, wrapped
from seqmodels.models import LanguageModel
from seqmodels.sequence import leaves
from tests.conftest import TOLERANCE

FLOAT32 = TOLERANCE[torch.float32]
VOCAB = 13


def model(cell: Any = LSTMCell, **options: Any) -> LanguageModel:
    hidden = {} if "hidden_sizes" in options else {"hidden_size": 6}
    return LanguageModel(partial(cell, **hidden), vocab_size=VOCAB, **{"embedding_size": 5, "depth": 2, **options})


def zoned(input_size: int, *, hidden_size: int) -> Cell[Any]:
    wrappers: dict[str, Any] = {"zoneout": partial(Zoneout, rates={"h": 0.2}), "initial": LearnedInitialState}
    return wrapped(input_size, factory=GRUCell, wrappers=wrappers, hidden_size=hidden_size)


@pytest.mark.parametrize("cell", [LSTMCell, GRUCell, MinGRUCell, zoned])
def test_windows_with_carried_state_are_one_long_pass(cell: Any) -> None:
    network = model(cell).eval()
    tokens = torch.randint(VOCAB, (3, 17))
    whole, final = network(tokens)
    state, parts = None, []
    for window in tokens.split([4, 1, 7, 5], dim=1):
        scores, state = network(window, state)
        parts.append(scores)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, **FLOAT32)
    for carried, expected in zip(leaves(state), leaves(final), strict=True):
        torch.testing.assert_close(carried, expected, **FLOAT32)


@pytest.mark.parametrize("cell", [LSTMCell, MinGRUCell, zoned])
def test_one_token_at_a_time_is_the_whole_text_at_once(cell: Any) -> None:
    network = model(cell).eval()
    tokens = torch.randint(VOCAB, (3, 11))
    whole, _ = network(tokens)
    state: Any = None
    for step in range(11):
        scores, state = network.step(tokens[:, step], state)
        torch.testing.assert_close(scores, whole[:, step], **FLOAT32)


def test_a_fresh_row_starts_from_the_initial_state_and_the_others_go_on() -> None:
    network = model(zoned).eval()
    with torch.no_grad():
        for parameter in network.recurrent.parameters():
            parameter.uniform_(-1, 1)  # the learnt initial state too, which starts at zero
    first, second = torch.randint(VOCAB, (3, 7)), torch.randint(VOCAB, (3, 5))
    _, state = network(first)
    fresh = torch.tensor([False, True, False])
    scores, _ = network(second, network.renew(state, fresh))
    on, _ = network(second, state)
    anew, _ = network(second)
    torch.testing.assert_close(scores[fresh], anew[fresh], **FLOAT32)
    torch.testing.assert_close(scores[~fresh], on[~fresh], **FLOAT32)
    assert not torch.allclose(on[1], anew[1])


def test_lengths_hold_the_state_of_a_row_where_its_text_ends() -> None:
    network = model().eval()
    tokens = torch.randint(VOCAB, (2, 9))
    _, state = network(tokens, None, torch.tensor([4, 9]))
    _, short = network(tokens[:1, :4])
    for leaf, expected in zip(leaves(state), leaves(short), strict=True):
        torch.testing.assert_close(leaf[:1], expected, **FLOAT32)


@pytest.mark.parametrize("hidden", [5, 6])
def test_tied_scores_share_the_embedding_through_a_map_where_sizes_differ(hidden: int) -> None:
    network = model(hidden_sizes=[7, hidden], depth=None, tie_weights=True).eval()
    names = dict(network.named_parameters())
    assert ("scores.projection.weight" in names) == (hidden != 5)
    assert names["embedding.weight"].shape == (VOCAB, 5)
    assert not [name for name, p in names.items() if p.shape == (VOCAB, hidden) and name != "embedding.weight"]
    tokens = torch.randint(VOCAB, (2, 4))
    read = network.read(tokens)
    below = read.features if hidden == 5 else read.features @ names["scores.projection.weight"].T
    scores, _ = network(tokens)
    torch.testing.assert_close(scores, below @ names["embedding.weight"].T + names["scores.bias"], **FLOAT32)


@pytest.mark.parametrize("options", [{}, {"tie_weights": True}, {"adaptive_cutoffs": [3, 8], "hidden_sizes": [7, 17]}])
def test_losses_are_the_negative_log_probabilities_that_the_scores_say(options: dict[str, Any]) -> None:
    network = model(**options).eval()
    tokens, targets = torch.randint(VOCAB, (2, 7)), torch.randint(VOCAB, (2, 7))
    read = network.read(tokens)
    losses = network.losses(read.features.flatten(0, 1), targets.flatten())
    scores, _ = network(tokens)
    assert scores.shape == (2, 7, VOCAB)
    expected = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="none")
    torch.testing.assert_close(losses, expected, **FLOAT32)


@pytest.mark.parametrize("cutoffs", [[], [0, 5], [5, 3], [5, 5], [VOCAB]])
def test_cutoffs_that_do_not_ascend_inside_the_vocabulary_are_refused(cutoffs: list[int]) -> None:
    with pytest.raises(ValueError, match="adaptive_cutoffs must ascend between 0 and vocab_size=13"):
        model(adaptive_cutoffs=cutoffs)


def test_clusters_need_features_to_share() -> None:
    with pytest.raises(ValueError, match=r"adaptive_cutoffs of 2 clusters need at least 16 features, .* got 6"):
        model(adaptive_cutoffs=[3, 8])


def test_clusters_cannot_be_tied() -> None:
    with pytest.raises(ValueError, match="tie_weights and adaptive_cutoffs exclude each other"):
        model(tie_weights=True, adaptive_cutoffs=[4])


def test_embedding_dropout_drops_whole_tokens_wherever_they_stand() -> None:
    network = model(dropout_embedding=0.5).train()
    tokens = torch.arange(VOCAB).repeat(2, 2)
    embedded = network._embed(tokens)
    rows = embedded[:, :VOCAB]
    torch.testing.assert_close(embedded, torch.cat([rows[:1], rows[:1]], dim=1).expand(2, -1, -1), **FLOAT32)
    dropped = (rows[0] == 0).all(1)
    assert 0 < dropped.sum() < VOCAB
    torch.testing.assert_close(rows[0][~dropped], 2 * network.embedding.weight[~dropped], **FLOAT32)
    assert torch.equal(network.eval()._embed(tokens), network.embedding(tokens))


@pytest.mark.parametrize("place", ["dropout_input", "dropout_output"])
def test_dropout_of_features_is_the_same_at_every_step_of_a_row(place: str) -> None:
    network = model(**{place: 0.5}).train()
    seen: list[Tensor] = []
    layer = network.dropout_input if place == "dropout_input" else network.dropout_output
    layer.register_forward_hook(lambda _, x, y: seen.append(torch.where(x[0] == 0, torch.nan, y / x[0])))
    network(torch.randint(VOCAB, (3, 7)))
    (mask,) = seen
    torch.testing.assert_close(mask, mask[:, :1].expand_as(mask), **FLOAT32)
    assert set(mask.round().unique().tolist()) == {0.0, 2.0}


def test_numbers_are_no_tokens() -> None:
    with pytest.raises(ValueError, match=r"tokens must be whole numbers \(batch, time\), got torch.float32 \(2, 3\)"):
        model()(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="dropout_embedding must be a probability"):
        model(dropout_embedding=1.0)


def test_the_initializer_draws_the_finished_network() -> None:
    def ones(network: nn.Module) -> nn.Module:
        for parameter in network.parameters():
            nn.init.ones_(parameter)
        return network

    assert all(bool((parameter == 1).all()) for parameter in model(initializer=ones).parameters())
