"""Windows over text: every token once, resets where documents start, rows that go on where they were."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from seqmodels.data.text.corpus import Corpus, corpus_of
from seqmodels.data.text.windows import IGNORE, TextWindow, WindowLoader

EDGE = 0
LENGTHS = (11, 3, 1, 29, 7, 2, 13, 5)


def documents(lengths: Sequence[int] = LENGTHS) -> Corpus:
    """Documents of ascending numbers, so that a token says where it stands."""
    starts = np.cumsum([1, *lengths])
    return corpus_of([range(low, low + n) for low, n in zip(starts, lengths, strict=False)], 200, EDGE)


def single(length: int = 97) -> Corpus:
    return corpus_of([range(length)], 200, None)


def loader(corpus: Corpus, rows: int, bptt: int, **options: object) -> WindowLoader:
    return WindowLoader(corpus, rows=rows, bptt=bptt, **options)  # type: ignore[arg-type]


def streams(windows: Sequence[TextWindow]) -> list[list[list[int]]]:
    """Return for each row the stretches of text it read: inputs and the last target, parted where a row was fresh."""
    rows: list[list[list[int]]] = [[] for _ in windows[0].inputs]
    for window in windows:
        for row, stretches in enumerate(rows):
            real = window.targets[row] != IGNORE
            if not real.any():
                continue
            inputs, targets = window.inputs[row][real].tolist(), window.targets[row][real].tolist()
            starts = [bool(window.fresh[row]), *([False] * (len(inputs) - 1))]
            if window.resets is not None:
                starts = [first or again for first, again in zip(starts, window.resets[row].tolist(), strict=False)]
            for start, token, target in zip(starts, inputs, targets, strict=True):
                if start:
                    stretches.append([token])
                assert stretches[-1][-1] == token, "a row goes on with what it predicted last"
                stretches[-1].append(target)
    return rows


@pytest.mark.parametrize("kind", ["evaluation", "training", "packed"])
@pytest.mark.parametrize("rows", [1, 3, 8])
@pytest.mark.parametrize("bptt", [1, 4, 50])
def test_every_token_is_predicted_exactly_once(kind: str, rows: int, bptt: int) -> None:
    for corpus in (documents(), single()):
        windows = list(loader(corpus, rows, bptt, training=kind != "evaluation", packed=kind == "packed"))
        targets = torch.cat([window.targets[window.targets != IGNORE] for window in windows])
        expected = torch.from_numpy(corpus.tokens[1:].astype(np.int64))
        assert torch.equal(targets.sort().values, expected.sort().values)
        assert corpus.targets == len(targets)


@pytest.mark.parametrize("rows", [1, 3, 8, 11])
def test_in_evaluation_every_document_is_read_whole_from_its_edge_to_the_next(rows: int) -> None:
    corpus = documents()
    stretches = [stretch for row in streams(list(loader(corpus, rows, 4))) for stretch in row]
    bounds = zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)
    assert sorted(stretches) == sorted(corpus.tokens[low : high + 1].tolist() for low, high in bounds)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 5])
def test_in_training_a_row_is_fresh_where_documents_start_and_where_it_begins(rows: int, packed: bool) -> None:
    corpus = documents()
    windows = list(loader(corpus, rows, 4, training=True, packed=packed, seed=2))
    assert windows[0].fresh.all()
    inner = [stretch for row in streams(windows) for stretch in row[1:]]
    assert all(stretch[0] == EDGE for stretch in inner), "only a row's first stretch may begin inside a document"
    assert all(EDGE not in stretch[1:-1] for row in streams(windows) for stretch in row)


def test_a_single_text_becomes_contiguous_rows_of_windows_that_are_full_but_the_last() -> None:
    windows = list(loader(single(97), 4, 6, training=True))  # 96 targets: 16 windows, 4 a row
    rows = streams(windows)
    assert [len(row) for row in rows] == [1, 1, 1, 1]
    assert [row[0] for row in rows] == [list(range(first, first + 25)) for first in (0, 24, 48, 72)]
    assert [window.inputs.shape for window in windows] == [(4, 6)] * 4
    assert all(window.lengths is None for window in windows)


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_in_training_documents_are_packed_into_full_windows(rows: int) -> None:
    windows = list(loader(documents(), rows, 4, training=True, packed=True, seed=2))
    real = torch.stack([(window.targets != IGNORE).sum(1) for window in windows])  # (windows, rows)
    assert len(windows) == -(-documents().targets // (4 * rows))
    assert (real[:-1] == 4).all(), "only the last window of a row is shorter"
    assert any(window.resets is not None for window in windows)
    assert all(window.resets is None or not window.resets[:, 0].any() for window in windows), (
        "fresh says that of step 0"
    )


def test_lengths_are_given_where_a_row_is_shorter_or_has_nothing_left() -> None:
    for window in loader(documents(), 3, 4):
        real = (window.targets != IGNORE).sum(1)
        assert window.inputs.shape[1] <= 4
        if window.lengths is None:
            assert (real == window.inputs.shape[1]).all()
        else:
            assert torch.equal(window.lengths, real.clamp(min=1))


def test_the_order_of_documents_is_a_function_of_seed_and_epoch() -> None:
    def first(seed: int, epoch: int) -> list[int]:
        read = loader(documents(), 3, 4, training=True, seed=seed)
        read.sampler.set_epoch(epoch)
        return torch.cat([window.inputs.flatten() for window in read]).tolist()

    assert first(1, 5) == first(1, 5)
    assert first(1, 5) != first(1, 6)
    assert first(1, 5) != first(2, 5)
    read = loader(documents(), 3, 4, training=True, seed=1)
    epochs = [torch.cat([window.inputs.flatten() for window in read]).tolist() for _ in range(2)]
    assert epochs == [first(1, 0), first(1, 1)]


@pytest.mark.parametrize("training", [True, False])
def test_every_epoch_has_as_many_windows_as_the_loader_says(training: bool) -> None:
    for corpus in (documents(), single()):
        for packed in {training, False}:
            read = loader(corpus, 3, 4, training=training, packed=packed)
            assert [len(list(read)) for _ in range(4)] == [len(read)] * 4


def test_processes_read_rows_of_their_own_in_as_many_steps() -> None:
    for corpus in (documents(), single()):
        for options in ({"training": True}, {"training": True, "packed": True}, {}):
            parts = [list(loader(corpus, 2, 4, rank=r, world_size=2, **options)) for r in (0, 1)]
            whole = list(loader(corpus, 4, 4, **options))
            assert len(parts[0]) == len(parts[1]) == len(whole)
            assert [*streams(parts[0]), *streams(parts[1])] == streams(whole)


def test_random_windows_cover_every_token_in_a_fixed_number_of_steps_of_varying_length() -> None:
    corpus = corpus_of([range(2000)], 2000, None)
    read = WindowLoader(corpus, rows=3, bptt=20, training=True, random_windows=True, seed=4)
    epochs = [list(read) for _ in range(2)]
    for windows in epochs:
        assert len(windows) == len(read)
        assert [row[0] for row in streams(windows)] == [
            list(range(first, end + 1)) for first, end in ((0, 666), (666, 1332), (1332, 1999))
        ]
    times = [[window.inputs.shape[1] for window in windows] for windows in epochs]
    assert times[0] != times[1]
    assert len(set(times[0])) > 5
    for window in epochs[0][:-1]:
        assert window.scale == pytest.approx(window.inputs.shape[1] / 20)


def test_a_document_without_tokens_is_its_end_alone() -> None:
    corpus = corpus_of([[5, 6], [], [7]], 9, EDGE)
    stretches = [stretch for row in streams(list(loader(corpus, 2, 4))) for stretch in row]
    assert sorted(stretches) == [[EDGE, EDGE], [EDGE, 5, 6, EDGE], [EDGE, 7, EDGE]]


def test_several_documents_need_an_edge() -> None:
    with pytest.raises(ValueError, match="without a token for the edge of a document there must be one, got 2"):
        corpus_of([[1], [2]], 9, None)
