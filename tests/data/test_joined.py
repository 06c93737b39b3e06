"""Splits that are joined hold the rows of all, one after the other."""

from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.data import (
    CharacterLearner,
    CSVSeriesData,
    DataModule,
    Documents,
    ParityData,
    RaggedDataset,
    SequenceDataset,
    Splits,
    TokenizedPreparation,
)
from seqmodels.data.series.windows import WindowDataset
from tests.datasets import ready


def test_rows_follow_one_another_whatever_their_lengths() -> None:
    data = ready(ParityData, train_rows=7, val_rows=5, test_rows=3)
    parts = [data.split(name) for name in Splits._fields]
    data.join_splits()
    joined = data.split("train")
    assert len(joined) == 15
    rows = [part[row] for part in parts for row in range(len(part))]
    for row, expected in enumerate(rows):
        length = int(expected.lengths)
        assert int(joined[row].lengths) == length
        assert torch.equal(joined[row].inputs[:length], expected.inputs[:length])
        assert torch.equal(joined[row].targets, expected.targets)


@pytest.mark.parametrize("stepwise", [False, True])
def test_ragged_rows_keep_their_targets(stepwise: bool) -> None:
    def part(*lengths: int) -> RaggedDataset:
        targets: Any = [torch.arange(n) for n in lengths] if stepwise else torch.tensor(lengths)
        return RaggedDataset([torch.full((n, 2), float(n)) for n in lengths], targets)

    joined = part(3, 5).joined([part(2), part(7, 1)])
    batch, expected = (dataset.__getitems__([0, 1, 2, 3, 4]) for dataset in (joined, part(3, 5, 2, 7, 1)))
    assert all(torch.equal(*pair) for pair in zip(batch, expected, strict=True))


def test_padded_rows_of_other_widths_are_padded_again() -> None:
    short = SequenceDataset(torch.ones(2, 3, 1), torch.tensor([0, 1]))
    wide = SequenceDataset(torch.ones(1, 5, 1), torch.tensor([1]), torch.tensor([4]))
    batch = short.joined([wide]).__getitems__([0, 2])
    assert batch.lengths.tolist() == [3, 4]
    assert batch.inputs.sum((1, 2)).tolist() == [3, 4]


def test_windows_cross_the_boundaries_of_the_splits(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("y\n" + "".join(f"{number % 5}\n" for number in range(61)))
    data = ready(CSVSeriesData, path=tmp_path / "my.csv", input_length=7, horizon=3)
    before: list[WindowDataset] = [data.split(name) for name in Splits._fields]
    data.join_splits()
    joined = data.split("train")
    starts, horizon = before[0].origins[0], before[0].horizon
    assert joined.origins.tolist() == list(range(starts, before[-1].spans[0].end - horizon + 1))


@pytest.mark.parametrize("documents", [1, 3])
def test_a_joined_text_predicts_every_token_of_the_whole(documents: int) -> None:
    texts = [[f"abc{number}"] * documents for number in range(3)]
    preparation = TokenizedPreparation(vocabulary=CharacterLearner(), bptt=5)
    splits = preparation.prepare(Splits(*(Documents.of(part) for part in texts))).splits
    joined = splits.train.joined([splits.val, splits.test])
    assert joined.corpus.documents == 3 * documents
    whole = preparation.prepare(Splits(*[Documents.of([text for part in texts for text in part])] * 3)).splits.train
    assert len(joined.corpus.tokens) == len(whole.corpus.tokens)
    assert joined.corpus.offsets.tolist() == whole.corpus.offsets.tolist()


def test_a_data_module_trains_on_all_rows_after_joining() -> None:
    data = ready(ParityData, train_rows=7, val_rows=5, test_rows=3)
    assert isinstance(data, DataModule)
    data.join_splits()
    assert sum(len(batch.lengths) for batch in data.train_dataloader()) == 15
    assert sum(len(batch.lengths) for batch in data.val_dataloader()) == 5
