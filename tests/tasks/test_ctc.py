"""CTC: the loss sums over all alignments, rows do not depend on each other, wrong targets are refused or counted."""

import itertools
import json
import logging
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.data import CharacterVocabulary, LogMel, SpeechPreprocessing, TranscriptBatch, WordVocabulary
from seqmodels.data.audio.datasets import TranscribedSounds
from seqmodels.data.batch import Spoken
from seqmodels.data.loading import Loading
from seqmodels.layers import Convolution, ConvolutionStack
from seqmodels.models import CTCNetwork
from seqmodels.tasks import CTC, CTCSearch
from seqmodels.training.fit import train
from tests.composing import TINY, composed
from tests.conftest import TOLERANCE, Answer
from tests.sounds import tone, write_wav

INPUT, LETTERS = 3, ["<pad>", "<unk>", "a", "b"]


def speech(**options: Any) -> SpeechPreprocessing:
    features = LogMel(sample_rate=4000, bands=INPUT)
    plain = {"mean": [0.0] * INPUT, "deviation": [1.0] * INPUT, "vocabulary": CharacterVocabulary(LETTERS)}
    return SpeechPreprocessing(features=features, **{**plain, **options})


def task_of(cell: Any = GRUCell, search: CTCSearch | None = None, **options: Any) -> CTC:
    model = CTCNetwork(partial(cell, hidden_size=5), input_size=INPUT, output_size=len(LETTERS), **options)
    return CTC(model, partial(torch.optim.Adam, lr=0.02), preprocessing=speech(), search=search)


def batch_of(lengths: list[int], targets: list[list[int]], dtype: torch.dtype = torch.float64) -> TranscriptBatch:
    inputs = torch.full((len(lengths), max(lengths), INPUT), 99.0, dtype=dtype)
    for row, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(row)
        inputs[row, :length] = torch.randn(length, INPUT, dtype=dtype, generator=generator)
    rows = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in targets], batch_first=True)
    spoken = [Spoken(f"{row}.wav", "".join(LETTERS[token] for token in target)) for row, target in enumerate(targets)]
    return TranscriptBatch(inputs, torch.tensor(lengths), rows, torch.tensor([len(row) for row in targets]), spoken)


def row_of(batch: TranscriptBatch, row: int) -> TranscriptBatch:
    length, size = int(batch.lengths[row]), int(batch.target_lengths[row])
    return TranscriptBatch(
        batch.inputs[row : row + 1, :length],
        batch.lengths[row : row + 1],
        batch.targets[row : row + 1, :size],
        batch.target_lengths[row : row + 1],
        batch.spoken[row : row + 1],
    )


def by_alignments(log_probs: Tensor, target: list[int]) -> float:
    """Return the negative log-probability of a transcript, summed over all alignments, for each of its tokens."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[-1]), repeat=len(log_probs)):
        if [label for label, _ in itertools.groupby(path) if label] == target:
            total += math.exp(sum(float(log_probs[step, label]) for step, label in enumerate(path)))
    return -math.log(total) / len(target)


FRONTS = {
    "none": None,
    "stride": partial(Convolution, channels=4, stride=2),
    "stack": partial(ConvolutionStack, channels=4, kernel_sizes=(3, 3), pool=2),
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("cell", [GRUCell, LSTMCell])
def test_a_batch_is_measured_as_its_rows_one_by_one_and_by_all_alignments(cell: Any, front: str) -> None:
    task = task_of(cell, front=FRONTS[front]).double().eval()
    lengths, targets = ([5, 3, 4], [[2, 2], [3], [2, 3, 2]]) if front == "none" else ([12, 9, 5], [[2, 2], [3], [2, 3]])
    batch = batch_of(lengths, targets)
    loss = task.measure(batch, "val")
    rows = [task.measure(row_of(batch, row), "val") for row in range(3)]
    needed, steps = batch.steps_needed, task.model.output_lengths(batch.lengths)
    kept = [row for row in range(3) if needed[row] <= steps[row]]
    torch.testing.assert_close(loss, torch.stack([rows[row] for row in kept]).mean(), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        log_probs, found = task.log_probs(batch)
    assert torch.equal(found, steps)
    for row in kept:
        wanted = by_alignments(log_probs[row, : steps[row]], targets[row])
        assert float(rows[row].detach()) == pytest.approx(wanted, rel=1e-4)
    texts = [output.output for output in task._outputs["val"]]
    assert texts[:3] == texts[3:]


def test_a_transcript_that_is_too_long_is_left_out_of_the_loss_and_its_gradient() -> None:
    task = task_of()
    batch = batch_of([6, 2], [[2, 3], [2, 2]], torch.float32)  # two equal letters need a step between
    assert batch.steps_needed.tolist() == [2, 3]
    loss = task.measure(batch, "train")
    loss.backward()
    gradient = task.model.read_out.weight.grad
    alone = task_of()
    alone.load_state_dict(task.state_dict())
    only = alone.measure(row_of(batch, 0), "train")
    only.backward()
    torch.testing.assert_close(loss, only, **TOLERANCE[torch.float32])
    torch.testing.assert_close(gradient, alone.model.read_out.weight.grad, **TOLERANCE[torch.float32])
    assert float(task._means["train"].rows) == 1
    both = task.measure(row_of(batch, 1), "train")
    assert float(both.detach()) == 0


@pytest.mark.parametrize("wrong", [0, 4, -1])
def test_a_target_that_is_no_unit_or_the_blank_is_refused(wrong: int) -> None:
    batch = batch_of([6, 5], [[2, 3], [3, 2]], torch.float32)
    batch.targets[1, 0] = wrong
    with pytest.raises(ValueError, match=f"row 1 of the batch: a unit must be 1 to 3, as 0 is the blank; got {wrong}"):
        task_of().measure(batch, "train")
    rows = TranscribedSounds(list(batch.inputs), list(batch.targets), batch.spoken, texts=True)
    with pytest.raises(ValueError, match=rf"the val split: 1.wav: a token must be 1 to 3.*got {wrong}"):
        rows.check("val", "ctc", {"output_size": 4}, Loading())


def test_outputs_leave_out_unknown_units_and_references_keep_what_was_said() -> None:
    letters = speech()
    assert letters.written([2, 1, 3]) == "ab"
    assert letters.reference("aXb") == "aXb"
    words = speech(vocabulary=WordVocabulary(["<pad>", "<unk>", "no", "yes"]))
    assert words.written([3, 1, 2]) == "yes no"
    assert words.reference("Yes,  no") == "yes , no"
    with pytest.raises(ValueError, match=r"a.wav has an empty transcript"):
        words.tokens(" ", "a.wav")


def test_the_n_best_are_different_texts() -> None:
    batch = batch_of([7, 5], [[2], [3]], torch.float32)
    for found in task_of(search=CTCSearch(beam=50, n_best=4)).eval().records(batch, ()):
        assert [record["rank"] for record in found] == [1, 2, 3, 4]
        assert len({record["output"] for record in found}) == 4


def test_a_network_learns_to_transcribe() -> None:
    torch.manual_seed(0)
    task = task_of(bidirectional=False)
    patterns = {2: torch.tensor([2.0, -1, 0]), 3: torch.tensor([-1.0, 2, 0])}
    targets = [[2, 3], [3, 2], [2, 2, 3], [3], [3, 3]]
    silence = torch.zeros(2, INPUT)
    rows = [torch.cat([torch.cat([silence, patterns[token].repeat(2, 1)]) for token in row]) for row in targets]
    batch = batch_of([len(row) for row in rows], targets, torch.float32)
    for number, row in enumerate(rows):
        batch.inputs[number, : len(row)] = row
    optimizer = task.optimizer(task.parameters())
    for _ in range(300):
        optimizer.zero_grad()
        task.measure(batch, "train").backward()
        optimizer.step()
    task.eval()
    task.measure(batch, "test")
    assert [output.output for output in task._outputs["test"]] == ["ab", "ba", "aab", "b", "bb"]
    assert task.text_metrics["wer"](task._outputs["test"]) == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table of transcripts of tones, trained for one batch."""
    folder = tmp_path_factory.mktemp("speech")
    lines = ["file,text"]
    for row, text in enumerate(["ab", "ba", "aab", "b", "a", "bab"] * 2):
        sounds = [tone(300 if letter == "a" else 900, 0.06) for letter in text]
        write_wav(folder / "clips" / f"{row}.wav", torch.cat([*sounds, torch.zeros(40)]))
        lines.append(f"clips/{row}.wav,{text}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    options = ["data=audio_transcripts", f"data.path={folder / 'table.csv'}", "data.val_share=0.25"]
    options += ["data.test_share=0.25", f"data.cache_dir={folder / 'cache'}", "features.bands=6", "logger=none"]
    options += ["data.ngram=2", "cell=gru", "cell.hidden_size=6", "data.batch_size=4", "augmentation=[spec_augment]"]
    metrics = train(composed(folder / "run", *options, *TINY))
    assert {"test/loss", "test/wer", "test/cer", "val/wer"} <= set(metrics)
    return folder


def predicted(command: Callable[..., Answer], run: Path, *tokens: str) -> list[dict[str, Any]]:
    answer = command("predict", f"run={run / 'run' / 'model'}", *tokens)
    assert answer.status == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines() if line.startswith("{")]


def test_predict_transcribes_files_folders_and_tables_alike(command: Callable[..., Answer], run: Path) -> None:
    by_folder = predicted(command, run, f"input={run / 'clips'}")
    by_table = predicted(command, run, f"input={run / 'table.csv'}")
    (one,) = predicted(command, run, f"input={run / 'clips' / '3.wav'}")
    assert len(by_folder) == len(by_table) == 12
    text = {Path(row["file"]).name: (row["output"], row["score"]) for row in by_folder}
    assert text["3.wav"] == (one["output"], pytest.approx(one["score"], rel=1e-5))
    assert {Path(row["file"]).name: row["output"] for row in by_table} == {name: each[0] for name, each in text.items()}


def test_predict_gives_the_n_best_with_their_scores(command: Callable[..., Answer], run: Path) -> None:
    best = predicted(command, run, f"input={run / 'clips' / '3.wav'}", "n_best=3")
    assert [row["rank"] for row in best] == [1, 2, 3]
    assert best[0]["score"] >= best[1]["score"] >= best[2]["score"]
    assert len({row["output"] for row in best}) == 3
    answer = command("predict", f"run={run / 'run' / 'model'}", f"input={run / 'clips'}", "length_penalty=1")
    assert answer.status == 2
    assert "has no argument 'length_penalty'" in answer.err


def test_predict_names_a_file_that_it_cannot_use(command: Callable[..., Answer], run: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "wavs" / "a.wav", tone(300))
    write_wav(tmp_path / "wavs" / "b.wav", torch.zeros(400))
    (tmp_path / "wavs" / "c.wav").write_bytes(b"")
    answer = command("predict", f"run={run / 'run' / 'model'}", f"input={tmp_path / 'wavs'}")
    assert answer.status == 0
    assert [bool(json.loads(line)["rank"]) for line in answer.out.splitlines()] == [True, False, False]
    answer = command("predict", f"run={run / 'run' / 'model'}", f"input={tmp_path / 'wavs'}", "strict=true")
    assert answer.status != 0
    assert "b.wav is silent" in answer.err


def test_evaluate_tests_on_a_table(command: Callable[..., Answer], run: Path) -> None:
    answer = command("evaluate", f"run={run / 'run'}", f"input={run / 'table.csv'}", "beam=3")
    assert answer.status == 0, answer.err
    assert "test/wer" in answer.out


def test_transcripts_longer_than_the_outputs_are_named_and_counted(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ["data=audio_transcripts", f"data.path={run / 'table.csv'}", "data.val_share=0.25"]
    options += [
        "data.test_share=0.25",
        f"data.cache_dir={run / 'cache'}",
        "features.bands=6",
        "logger=none",
        "cell=gru",
        "cell.hidden_size=6",
    ]
    with caplog.at_level(logging.WARNING, logger="seqmodels"):
        train(composed(tmp_path, *options, "front=convolution", "front.stride=8", *TINY))
    (message,) = [each.getMessage() for each in caplog.records if "train: " in each.getMessage()]
    assert "transcripts are longer than what the network reads out, and are left out of the loss: " in message
    assert "clips" in message
    assert "(needs 4 steps, has 3)" in message
    lines = (run / "table.csv").read_text().splitlines()
    own = tmp_path / "long.csv"
    own.write_text("\n".join([lines[0], *(f"{run}/{line}ab" for line in lines[1:])]))
    options[1] = f"data.path={own}"
    with pytest.raises(ValueError, match=r"train: 6 of 6 transcripts .* a front with less stride"):
        train(composed(tmp_path / "more", *options, "front=convolution", "front.stride=30", *TINY))
