"""Labelled records of the data sets in the package: the split that they were in, again."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import AddingData, CopyMemoryData, DigitsData, JSBChoralesData, ParityData, Source
from seqmodels.data.formats.records import Record
from tests.datasets import ready

ROWS = {"train_rows": 5, "val_rows": 3, "test_rows": 3}


@pytest.mark.parametrize(
    ("kind", "options"),
    [(DigitsData, {}), (ParityData, ROWS), (AddingData, {**ROWS, "time": 7}), (CopyMemoryData, {**ROWS, "time": 11})],
)
def test_labelled_records_of_the_test_split_are_the_test_split(kind: type[Source], options: dict[str, Any]) -> None:
    data = ready(kind, **options)
    raw = data.source.splits().test
    assert raw is not None
    names = data.class_names
    records = []
    for row, (series, label) in enumerate(zip(raw.series, raw.labels, strict=True)):
        length = len(series) if raw.lengths is None else int(raw.lengths[row])
        target = label.tolist()
        if names:
            target = [names[step] for step in target] if isinstance(target, list) else names[target]
        elif isinstance(target, list):
            (target,) = target
        records.append(Record(f"row {row}", {"series": series[:length].tolist(), "label": target}))
    fitted = build(json.loads(json.dumps(data.preprocessing)))
    split, expected = fitted.labelled(records, names), data.split("test")
    every = list(range(len(expected)))
    for one, other in zip(split.__getitems__(every), expected.__getitems__(every), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_labelled_piano_rolls_have_their_next_frames_as_targets(tmp_path: Path) -> None:
    pieces = [[[60, 64], [62], []], [[21], [108, 60]]]
    path = tmp_path / "own.json"
    path.write_text(json.dumps(dict.fromkeys(("train", "valid", "test"), pieces)))
    data = ready(JSBChoralesData, data_dir=tmp_path, path=str(path))
    fitted = build(data.preprocessing)
    records = [Record(f"line {number}", {"frames": piece}) for number, piece in enumerate(pieces, 1)]
    split = fitted.labelled(records, data.class_names)
    assert torch.equal(split.values, data.split("test").values)
    assert torch.equal(split.targets, data.split("test").targets)
    with pytest.raises(ValueError, match="line 1: must have at least 2 frames, one to predict, got 1"):
        fitted.labelled([Record("line 1", {"frames": [[60]]})], data.class_names)
