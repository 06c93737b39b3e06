"""A public module rejects invalid inputs with one line of ours that gives the expected and the given value."""

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import seqmodels
from seqmodels.cells import ALL_CELLS, GRUCell
from seqmodels.data import SequenceBatch
from seqmodels.layers import AttentionPool, Bidirectional, LastStep, MaxPool, MeanPool, Recurrent
from seqmodels.layers.stack import recurrent_stack
from seqmodels.models import LanguageModel, SequenceClassifier, SequenceRegressor
from seqmodels.tasks.steps import real_steps

PACKAGE = str(Path(seqmodels.__file__).parent)
INPUT, HIDDEN, OUTPUT, VOCAB = 4, 5, 3, 9
CELL = partial(GRUCell, hidden_size=HIDDEN)
X, LENGTHS = torch.zeros(3, 7, INPUT), torch.tensor([7, 3, 1])
TOKENS = torch.zeros(3, 7, dtype=torch.long)
Module = Callable[[Any, Any], Any]


def layer(module: Any) -> Module:
    """Return a layer as a function of an input and lengths."""
    return lambda x, lengths: module(x, lengths=lengths)


BOTH = Bidirectional(Recurrent(GRUCell(INPUT, HIDDEN)), Recurrent(GRUCell(INPUT, HIDDEN), reverse=True))
READERS: dict[str, Module] = {
    **{f"Recurrent({cell.__name__})": layer(Recurrent(cell(INPUT, HIDDEN))) for cell in ALL_CELLS},
    "Bidirectional": layer(BOTH),
    "Stack": layer(recurrent_stack(CELL, INPUT, depth=2)),
    "SequenceClassifier": SequenceClassifier(CELL, input_size=INPUT, output_size=OUTPUT),
    "SequenceRegressor": SequenceRegressor(CELL, input_size=INPUT, output_size=OUTPUT),
}
OF_TOKENS: dict[str, Module] = {
    "SequenceClassifier": SequenceClassifier(CELL, vocab_size=VOCAB, output_size=OUTPUT),
    "LanguageModel": lambda x, n: LanguageModel(CELL, vocab_size=VOCAB, embedding_size=6)(x, None, n),
}
POOLS: dict[str, Module] = {
    "LastStep": LastStep(backward_size=2),
    "MeanPool": MeanPool(),
    "MaxPool": MaxPool(),
    "AttentionPool": AttentionPool(INPUT),
}
LENGTHS_THAT_ARE_NONE = {
    "fractions": (LENGTHS / 2, "must be integers"),
    "not a number": (torch.tensor([7, torch.nan, 1]), "must be integers"),
    "of another batch": (LENGTHS[:2], "(2,)"),
}
NUMBERS: dict[str, tuple[Any, Any, str]] = {
    "rank": (X[0], LENGTHS, "got (7, 4)"),
    "feature size": (X[..., :3], LENGTHS, "got (3, 7, 3)"),
    "dtype": (X.double(), LENGTHS, "torch.float64"),
    "integers": (X.long(), LENGTHS, "torch.int64"),
    "device": (X.to("meta"), LENGTHS, "cpu, got meta"),
    "a list": (X.tolist(), LENGTHS, "must be a tensor, got list"),
    "nothing": (None, LENGTHS, "must be a tensor, got NoneType"),
    "no rows": (X[:0], LENGTHS[:0], "(0, 7, 4)"),
    "no steps": (X[:, :0], LENGTHS, "(3, 0, 4)"),
    "a length of 0": (X, LENGTHS - 1, "row 2 is 0"),
    "a negative length": (X, -LENGTHS, "row 0 is -7"),
    "a length beyond the end": (X, LENGTHS + 1, "row 0 is 8"),
    **{f"lengths {name}": (X, lengths, message) for name, (lengths, message) in LENGTHS_THAT_ARE_NONE.items()},
}


def refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert message in str(caught.value)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename.startswith(PACKAGE), "a line of ours says so"


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("case", NUMBERS)
def test_readers_of_numbers_say_what_they_expected_and_got(case: str, name: str) -> None:
    x, lengths, message = NUMBERS[case]
    refused(lambda: READERS[name](x, lengths), message)


@pytest.mark.parametrize("name", OF_TOKENS)
@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (TOKENS[0], "(7,)"),
        (TOKENS[..., None], "(3, 7, 1)"),
        (TOKENS.float(), "torch.float32"),
        (TOKENS.tolist(), "must be a tensor, got list"),
        (TOKENS.index_fill(1, torch.tensor([4]), VOCAB), "a token must be 0 to 8, got 9 in row 0, step 4"),
        (TOKENS - torch.eye(3, 7, dtype=torch.long), "a token must be 0 to 8, got -1 in row 0, step 0"),
    ],
    ids=["one row", "rank", "floats", "a list", "beyond the vocabulary", "negative"],
)
def test_readers_of_tokens_say_what_they_expected_and_got(name: str, tokens: Any, message: str) -> None:
    refused(lambda: OF_TOKENS[name](tokens, LENGTHS), message)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(
    ("y", "lengths", "message"),
    [
        (X[0], None, "got torch.float32 (7, 4)"),
        (TOKENS, LENGTHS, "got torch.int64 (3, 7)"),
        *((X, lengths, message) for lengths, message in LENGTHS_THAT_ARE_NONE.values()),
    ],
)
def test_poolings_say_what_they_expected_and_got(name: str, y: Any, lengths: Any, message: str) -> None:
    refused(lambda: POOLS[name](y, lengths), message)


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.__name__)
def test_a_step_of_a_cell_says_what_it_expected_and_got(cell: type) -> None:
    for x, message in ((X[:, 0, :3], "(batch, 4), got (3, 3)"), (X, "(batch, 4), got (3, 7, 4)")):
        refused(lambda x=x: cell(INPUT, HIDDEN)(x), message)  # type: ignore[misc]
    for size in (0, -1, 2.5, True, "5"):
        refused(lambda size=size: cell(INPUT, size), "hidden_size must be a positive whole number")  # type: ignore[misc]


def test_targets_that_do_not_fit_the_outputs_are_named_with_both_shapes() -> None:
    whole, stepwise = (
        SequenceBatch(torch.zeros(3, 7, 2), torch.tensor([7, 1, 4]), torch.zeros(*shape).long())
        for shape in ((3,), (3, 7))
    )
    refused(lambda: real_steps(torch.zeros(3, 7, 5), whole), "targets (3,)")
    refused(lambda: real_steps(torch.zeros(3, 5), stepwise), "targets (3, 7)")
