"""``record.json``: what every task leaves for its report, with one process and with several, and what it costs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.tasks.task import Task
from seqmodels.training.recording import outputs
from seqmodels.training.recording.inputs import CHANNELS, STEPS, shown_input
from seqmodels.training.records.record import RECORD
from tests.inspection.report.small import HOSTILE, TASKS, WRITTEN, trained
from tests.tasks.small import adding, classification, parity, regression, trainer

LARGEST = 60_000  # bytes of a record


@pytest.mark.parametrize("task", TASKS)
def test_every_task_leaves_a_record_of_its_test(task: str, tmp_path: Path) -> None:
    trained(tmp_path, task)
    path = tmp_path / "run" / RECORD
    record = json.loads(path.read_text())
    assert list(record["phases"]) == ["validation", "training", "test"]
    assert all(phase["seconds"] >= 0 and phase["memory"] > 1e6 for phase in record["phases"].values())
    assert task == "language_modeling" or set(record["data"]["rows"]) == {"train", "val", "test"}
    kind = "texts" if task in ("seq2seq", "ctc") else WRITTEN.get(task, "errors")
    assert record["test"][kind], record["test"].keys()
    assert path.stat().st_size < LARGEST
    if task == "classification":
        assert HOSTILE in record["test"]["confusion"]["names"]
        assert "script" in record["test"]["errors"][0]["input"]["text"]
    if task == "tagging":
        assert record["test"]["errors"][0]["target"] == ["B-<b>", "O", "O"]
    if task == "seq2seq":
        (first, *_) = record["test"]["texts"]["attention"]
        assert len(first["weights"]) == len(first["output"])
        assert all(len(row) == len(first["source"]) for row in first["weights"])


def test_the_worst_rows_are_those_with_the_greatest_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    data, quiet = parity(), trainer()
    task = classification(data)
    quiet.test(task, data, verbose=False)
    found = outputs.tested(quiet, task, {"class_names": list(data.class_names), "preprocessing": data.preprocessing})
    split = data.split("test")
    batch = split.__getitems__(list(range(len(split))))
    losses = torch.nn.functional.cross_entropy(task(batch.inputs, batch.lengths), batch.targets, reduction="none")
    wrong = [row for row in losses.argsort(descending=True).tolist()[: outputs.WORST] if losses[row] > 0.6932]
    assert [each["row"] for each in found["errors"]] == wrong
    assert [each["loss"] for each in found["errors"]] == pytest.approx(losses[wrong].tolist(), abs=1e-5)
    assert sum(map(sum, found["confusion"]["counts"])) == len(split)


def test_targets_and_predictions_are_in_the_unit_of_the_data() -> None:
    data, quiet = adding(), trainer()
    task = regression(data)
    quiet.test(task, data, verbose=False)
    found = outputs.tested(quiet, task, {"class_names": [], "preprocessing": None})
    (points,) = found["points"]
    rows = data.split("test").__getitems__(list(range(17)))
    assert points["targets"] == pytest.approx(rows.targets[:, 0].tolist())
    row = found["errors"][0]["row"]
    assert found["errors"][0]["target"] == pytest.approx([points["targets"][row]])


def test_what_cannot_be_shown_is_left_out_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data, quiet = parity(), trainer()
    task = classification(data)

    def records(self: Task[Any], *_: Any) -> Any:
        raise RuntimeError("own task")

    monkeypatch.setattr(type(task), "records", records)
    quiet.test(task, data, verbose=False)
    found = outputs.tested(quiet, task, {"class_names": list(data.class_names), "preprocessing": None})
    assert set(found) == {"confusion"}
    assert "the report of this run lacks its errors: RuntimeError: own task" in caplog.text


@pytest.mark.parametrize(("steps", "channels"), [(7, 3), (5000, 3), (5000, 90), (7, CHANNELS + 1)])
def test_an_input_of_any_size_has_a_bounded_picture(steps: int, channels: int) -> None:
    found = shown_input(torch.randn(steps, channels))
    rows = found["series"] if channels <= CHANNELS else found["image"]
    assert len(rows) == channels if channels <= CHANNELS else len(rows) <= 96
    assert all(len(row) <= STEPS for row in rows)
    assert len(json.dumps(found)) < 60_000
