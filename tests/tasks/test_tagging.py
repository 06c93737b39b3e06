"""Tagging: spans as conlleval reads them, a batch as its sentences one by one, words known by their letters."""

import random
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.data import Splits, TagBatch, TaggedSentences, TagPreparation, WordLearner, Words
from seqmodels.models import Tagger
from seqmodels.tasks import Tagging
from seqmodels.tasks.metrics.spans import TagScores, are_spans
from seqmodels.tasks.task import Stage
from tests.conftest import TOLERANCE

NAMES = ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("LOC", "PER"))]
CLOSE = TOLERANCE[torch.float64]


def scored(predicted: list[list[str]], true: list[list[str]]) -> TagScores:
    """The scores of sequences of tags, with rubbish past their ends."""
    scores, time = TagScores(NAMES), max(map(len, true)) + 1
    real = torch.arange(time) < torch.tensor([len(row) for row in true])[:, None]
    rubbish = torch.randint(len(NAMES), (2, len(true), time))
    for part, rows in zip(rubbish, (predicted, true), strict=True):
        for number, row in enumerate(rows):
            part[number, : len(row)] = torch.tensor([NAMES.index(tag) for tag in row])
    scores.update(rubbish[0], rubbish[1], real)
    return scores


@pytest.mark.parametrize(
    ("malformed", "written"),
    [
        ("I-PER I-PER O", "B-PER I-PER O"),
        ("O I-PER I-LOC", "O B-PER B-LOC"),
        ("B-PER I-LOC I-LOC", "B-PER B-LOC I-LOC"),
        ("I-PER B-PER O", "B-PER B-PER O"),
        ("B-LOC I-LOC O", "B-LOC E-LOC O"),
        ("O E-LOC E-LOC", "O S-LOC S-LOC"),
        ("B-LOC E-LOC I-LOC I-LOC", "B-LOC E-LOC B-LOC E-LOC"),
        ("S-PER E-PER", "S-PER S-PER"),
        ("S-PER I-PER I-PER", "S-PER B-PER E-PER"),
    ],
)
def test_tags_that_no_span_writes_are_read_as_conlleval_does(malformed: str, written: str) -> None:
    scores = scored([malformed.split()], [written.split()])
    starts = sum(tag[0] in "BS" for tag in written.split())
    assert scores.spans.tolist() == [starts] * 3
    assert scores.compute()["span_f1"] == 1


def conlleval(tags: list[str]) -> set[tuple[int, int, str]]:
    """The spans of a sequence as (first, end, type), transcribed from the functions of conlleval."""
    spans, start, before, kind_before = set(), 0, "O", ""
    for step, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        ends = before in "ES" or (before in "BI" and prefix in "BSO") or (before != "O" and kind_before != kind)
        if ends:
            spans.add((start, step, kind_before))
        if prefix in "BS" or (before in "EOS" and prefix in "EI") or (prefix != "O" and kind_before != kind):
            start = step
        before, kind_before = prefix, kind
    return spans


def test_scores_of_spans_are_those_of_the_sets_of_spans() -> None:
    draw = random.Random(0)
    rows = [draw.randint(1, 8) for _ in range(200)]
    predicted, true = ([draw.choices(NAMES, k=length) for length in rows] for _ in range(2))
    found, wanted = ([conlleval(row) for row in part] for part in (predicted, true))
    both = sum(len(one & other) for one, other in zip(found, wanted, strict=True))
    scores = scored(predicted, true)
    assert scores.spans.tolist() == [both, sum(map(len, found)), sum(map(len, wanted))]
    values = scores.compute()
    precision, recall = both / sum(map(len, found)), both / sum(map(len, wanted))
    assert values["span_precision"] == pytest.approx(precision)
    assert values["span_recall"] == pytest.approx(recall)
    assert values["span_f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    right = [one == other for rows in zip(predicted, true, strict=True) for one, other in zip(*rows, strict=True)]
    assert values["accuracy"] == pytest.approx(sum(right) / len(right))


def test_spans_do_not_go_on_in_the_next_sentence_and_none_is_a_score_of_zero() -> None:
    assert scored([["B-LOC"], ["I-LOC"]], [["B-LOC"], ["B-LOC"]]).compute()["span_f1"] == 1
    assert scored([["O"]], [["O"]]).compute()["span_f1"] == 0


@pytest.mark.parametrize(
    ("names", "spans"),
    [(["O", "I-A"], True), (["B-A-1", "O"], True), (["NOUN"], False), (["O"], False), (["O", "X-A"], False)],
)
def test_tags_mark_spans_if_all_are_written_so(names: list[str], spans: bool) -> None:
    assert are_spans(names) == spans


def tagger(crf: bool, **options: Any) -> Tagger:
    sizes = {"vocab_size": 9, "character_vocab_size": 7, "output_size": len(NAMES), "embedding_size": 4}
    sizes |= {"character_embedding_size": 3, "character_hidden_size": 2}
    model = Tagger(partial(LSTMCell, hidden_size=5), crf=crf, **{**sizes, **options}).double().eval()
    for parameter in model.tags.parameters():
        nn.init.normal_(parameter)
    return model


def batch_of(lengths: list[int]) -> TagBatch:
    """Sentences of random words with 1 to 4 letters each, rubbish past every end."""
    rows, time, forms = len(lengths), max(lengths) + 1, 6
    words = Words(
        torch.randint(9, (rows, time)),
        torch.randint(forms, (rows, time)),
        torch.randint(7, (forms, 5)),
        torch.randint(1, 5, (forms,)),
    )
    return TagBatch(words, torch.tensor(lengths), torch.randint(len(NAMES), (rows, time)))


def alone(batch: TagBatch, row: int) -> TagBatch:
    """One sentence of a batch, its words spelled out in another order."""
    words, length = batch.inputs, int(batch.lengths[row])
    forms, spelling = words.spelling[row, :length].unique(return_inverse=True)
    spelled = words.letters[forms.flip(0)], words.letter_lengths[forms.flip(0)]
    own = Words(words.tokens[row : row + 1, :length], len(forms) - 1 - spelling[None], *spelled)
    return TagBatch(own, batch.lengths[row : row + 1], batch.targets[row : row + 1, :length])


@pytest.mark.parametrize("crf", [False, True], ids=["independent", "crf"])
@pytest.mark.parametrize("stage", ["train", "val"])
def test_a_batch_is_as_its_sentences_one_by_one(crf: bool, stage: Stage) -> None:
    task = Tagging(tagger(crf), torch.optim.Adam, tag_names=NAMES)
    task.predictor.probabilities = True
    batch = batch_of([4, 1, 3])
    together, records = task.measure(batch, stage), task.records(batch, NAMES)
    single = [alone(batch, row) for row in range(3)]
    losses = torch.stack([task.measure(one, stage) for one in single])
    assert_close(together, (losses * batch.lengths).sum() / batch.lengths.sum(), **CLOSE)
    for row, one in enumerate(single):
        ((record,),) = task.records(one, NAMES)
        (mine,) = records[row]
        assert mine["tags"] == record["tags"]
        for name in NAMES:
            assert mine["probabilities"][name] == pytest.approx(record["probabilities"][name], rel=1e-9)
        totals = [sum(column) for column in zip(*record["probabilities"].values(), strict=True)]
        assert totals == pytest.approx([1.0] * len(record["tags"]))


def test_without_characters_words_are_read_alone() -> None:
    batch = batch_of([4, 2])
    other = batch.inputs._replace(letters=(batch.inputs.letters + 1) % 7)
    blind, reader = tagger(crf=False, character_hidden_size=0), tagger(crf=False)
    assert blind(batch.inputs, batch.lengths).equal(blind(other, batch.lengths))
    assert not reader(batch.inputs, batch.lengths).equal(reader(other, batch.lengths))


def by_last_letter(count: int, draw: random.Random) -> TaggedSentences:
    """Words of random letters: the tag is the last letter, which only the letters of an unknown word tell."""
    rows = [["".join(draw.choices("abcd", k=draw.randint(3, 7))) for _ in range(4)] for _ in range(count)]
    return TaggedSentences(rows, [[word[-1].upper() for word in row] for row in rows], [str(n) for n in range(count)])


@pytest.mark.parametrize("crf", [False, True], ids=["independent", "crf"])
def test_unknown_words_are_tagged_by_their_letters(crf: bool) -> None:
    draw = random.Random(0)
    data = TagPreparation(vocabulary=WordLearner(splitting="spaces")).prepare(
        Splits(by_last_letter(60, draw), by_last_letter(20, draw))
    )
    sizes = {name: size for name, size in data.sizes.items() if name != "tag_names"}
    cell = partial(GRUCell, hidden_size=8)
    model = Tagger(cell, **sizes, embedding_size=4, character_embedding_size=8, character_hidden_size=8, crf=crf)
    task = Tagging(model, torch.optim.Adam, tag_names=data.class_names)
    optimizer = torch.optim.Adam(task.parameters(), lr=0.03)
    train, val = (split.__getitems__(list(range(len(split)))) for split in data.splits[:2])
    for _ in range(40):
        optimizer.zero_grad()
        task.measure(train, "train").backward()
        optimizer.step()
    right = task.eval().predict_step(val) == val.targets
    assert right.float().mean() > 0.95


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        (lambda: tagger(crf=False, character_hidden_size=-1), ValueError, "character_hidden_size must be at least 0"),
        (
            lambda: tagger(crf=False)(torch.zeros(2, 3).long()),
            TypeError,
            "inputs must be seqmodels.data.Words, got T",
        ),
        (
            lambda: tagger(crf=False)(Words(torch.tensor([[9]]), *torch.zeros(3, 1, 1).long().unbind())),
            ValueError,
            "a token must be 0 to 8, got 9 in row 0, step 0",
        ),
        (
            lambda: Tagging(nn.Linear(1, 1), torch.optim.Adam, tag_names=["A"]),  # type: ignore[arg-type]
            TypeError,
            "task=tagging needs model=tagger, got Linear",
        ),
    ],
)
def test_what_does_not_fit_is_named(make: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        make()
