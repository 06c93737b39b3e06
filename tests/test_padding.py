"""A batch of n sequences equals n batches of one, for every cell, network and task: padding has no effect."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from seqmodels.cells import ALL_CELLS, Cell
from seqmodels.data import SequenceBatch
from seqmodels.models import SequenceClassifier, SequenceNetwork, SequenceRegressor
from seqmodels.models import pooling as poolings
from seqmodels.tasks import Classification, MultilabelClassification, Regression, Task
from tests.conftest import TOLERANCE

INPUT, HIDDEN, OUTPUT, VOCAB = 4, 5, 3, 9
POOLINGS = (poolings.last, poolings.mean, poolings.maximum, poolings.attention, poolings.every_step)
LENGTHS = st.lists(st.integers(1, 8), min_size=2, max_size=4)
CLOSE = TOLERANCE[torch.float64]
examples = settings(max_examples=4, deadline=None)


def network(kind: type[SequenceNetwork], cell: type[Cell[Any]], **options: Any) -> Any:
    sizes = {"output_size": OUTPUT, **options}
    return kind(partial(cell, hidden_size=HIDDEN), **sizes).double().eval()


def padded(rows: list[Tensor], filler: float) -> tuple[Tensor, Tensor]:
    """Return rows in one tensor, what is beyond their ends filled with rubbish."""
    lengths = torch.tensor([len(row) for row in rows])
    out = torch.full((len(rows), int(lengths.max()), *rows[0].shape[1:]), filler).to(rows[0].dtype)
    for number, row in enumerate(rows):
        out[number, : len(row)] = row
    return out, lengths


@pytest.mark.parametrize("pooling", POOLINGS, ids=lambda pooling: pooling.__name__)
@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.__name__)
@examples
@given(lengths=LENGTHS, bidirectional=st.booleans())
def test_every_network_says_of_a_row_in_a_batch_what_it_says_of_it_alone(
    cell: type[Cell[Any]], pooling: poolings.Pooling, lengths: list[int], bidirectional: bool
) -> None:
    model = network(SequenceRegressor, cell, input_size=INPUT, pooling=pooling, depth=2, bidirectional=bidirectional)
    rows = [torch.randn(length, INPUT, dtype=torch.float64) for length in lengths]
    together = model(*padded(rows, 99.0))
    for number, row in enumerate(rows):
        alone = model(row[None])[0]
        mine = together[number, : len(row)] if together.dim() == 3 else together[number]
        assert_close(mine, alone, **CLOSE)


@examples
@given(lengths=LENGTHS)
def test_tokens_behind_the_end_are_never_read(lengths: list[int]) -> None:
    model = network(SequenceClassifier, ALL_CELLS[0], vocab_size=VOCAB, embedding_size=6, bidirectional=True)
    rows = [torch.randint(VOCAB, (length,)) for length in lengths]
    assert_close(model(*padded(rows, 0)), model(*padded(rows, VOCAB - 1)), **CLOSE)


def tasks() -> dict[str, tuple[Task[SequenceBatch], bool]]:
    """Every task of sequences with what makes it an answer for each step or for each row."""
    optimizer = partial(torch.optim.SGD, lr=0.1)
    made: dict[str, tuple[Task[SequenceBatch], bool]] = {}
    for steps, pooling in ((False, poolings.last), (True, poolings.every_step)):
        options: dict[str, Any] = {"input_size": INPUT, "pooling": pooling}
        classifier, regressor = (
            partial(network, kind, ALL_CELLS[0], **options) for kind in (SequenceClassifier, SequenceRegressor)
        )
        where = "steps" if steps else "rows"
        made[f"classification of {where}"] = Classification(classifier(), optimizer, output_size=OUTPUT), steps
        made[f"multilabel of {where}"] = MultilabelClassification(classifier(), optimizer, output_size=OUTPUT), steps
        made[f"regression of {where}"] = Regression(regressor(), optimizer), steps
    return made


def targets_for(name: str, count: int) -> Tensor:
    if name.startswith("classification"):
        return torch.randint(OUTPUT, (count,))
    drawn = torch.randn(count, OUTPUT, dtype=torch.float64)
    return (drawn > 0).double() if name.startswith("multilabel") else drawn


@pytest.mark.parametrize("name", tasks())
@examples
@given(lengths=LENGTHS)
def test_every_task_measures_a_batch_as_its_rows_one_by_one_whatever_the_padding(name: str, lengths: list[int]) -> None:
    task, steps = tasks()[name]
    rows = [torch.randn(length, INPUT, dtype=torch.float64) for length in lengths]
    targets = [targets_for(name, length if steps else 1) for length in lengths]
    losses = []
    for filler in (0, 99):
        inputs, real = padded(rows, filler)
        wanted = padded(targets, filler % OUTPUT)[0] if steps else torch.cat(targets)
        losses.append(task.measure(SequenceBatch(inputs, real, wanted), "val"))
    alone = [
        task.measure(SequenceBatch(row[None], torch.tensor([len(row)]), target[None] if steps else target), "val")
        for row, target in zip(rows, targets, strict=True)
    ]
    weights = torch.tensor(lengths if steps else [1] * len(rows), dtype=torch.float64)
    assert_close(losses[0], losses[1], **CLOSE)
    assert_close(losses[0], (torch.stack(alone) * weights).sum() / weights.sum(), **CLOSE)
