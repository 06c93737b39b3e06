"""Small runs of every task, for the tests of their reports; a part of what they read would be markup if it could."""

import math
from pathlib import Path
from typing import Any

from seqmodels.training.fit import train
from tests.composing import TINY, composed
from tests.sounds import tone, write_wav

HOSTILE = "<script>document.title = 'taken over'</script>"
SMALL = ["cell=gru", "cell.hidden_size=5", "logger=csv", "threads=1", "baselines=false", "callbacks.progress=null"]
SMALL += ["trainer.limit_test_batches=2"]
TASKS = ("classification", "multilabel", "regression", "forecasting", "language_modeling", "tagging", "seq2seq", "ctc")
WRITTEN = {"multilabel": "labels", "regression": "points", "forecasting": "forecasts", "language_modeling": "samples"}
"""What ``record.json`` has of the test of a task, ``errors`` or ``texts`` of others."""


def trained(folder: Path, task: str, *overrides: str, **changes: Any) -> dict[str, float]:
    """Train a small model for a task on rows of its own, into ``folder / "run"``."""
    config = composed(folder / "run", *TINY, *SMALL, *_data(folder, task), *overrides)
    config.merge_with(changes)
    return train(config)


def _data(folder: Path, task: str) -> list[str]:  # noqa: PLR0911  (a return for each task)
    """Write a file of data and return the overrides that read it."""
    path = folder / "rows"
    if task in ("classification", "multilabel"):
        names = [HOSTILE, "plain", "& more"]
        lines = [f'"{HOSTILE} word{row % 7} word{row % 5}","{names[row % 3]}"\n' for row in range(60)]
        path.with_suffix(".csv").write_text("text,labels\n" + "".join(lines))
        data = "text_csv" if task == "classification" else "text_csv_multilabel"
        return [f"data={data}", f"data.path={path}.csv", "data.label=labels"]
    if task == "regression":
        return ["task=regression", "data=adding", "data.train_rows=40", "data.val_rows=9", "data.test_rows=11"]
    if task == "forecasting":
        values = "".join(f"{math.sin(step / 5) + step / 100:.6f}\n" for step in range(200))
        path.with_suffix(".csv").write_text(f"{HOSTILE[:8]}\n{values}")
        return [
            "task=forecasting",
            "data=csv_series",
            f"data.path={path}.csv",
            "data.input_length=11",
            "data.horizon=5",
        ]
    if task == "language_modeling":
        path.write_text("\n".join(f"the {n} <b>quick</b> foxes" for n in range(90)))
        return [
            f"task={task}",
            "data=text",
            f"data.path={path}",
            "data.bptt=7",
            f"data.cache_dir={folder}",
            "data.batch_size=4",
        ]
    if task == "tagging":
        path.with_suffix(".tsv").write_text("".join(f"<i>{n % 5}\tB-<b>\nsat\tO\n.\tO\n\n" for n in range(60)))
        return ["task=tagging", "data=tags", f"data.path={path}.tsv", "data.format=columns"]
    if task == "seq2seq":
        rows = [f"a {HOSTILE} {n % 4}\tein <i>Hund</i> {n % 4}\n" for n in range(40)]
        path.with_suffix(".tsv").write_text("en\tde\n" + "".join(rows))
        return [
            "task=seq2seq",
            "data=text_pairs",
            f"data.path={path}.tsv",
            "data.source=en",
            "data.target=de",
            "attention=additive",
        ]
    path.mkdir()
    rows = [f"{n}.wav,{'a<b>'[: 1 + n % 4]}\n" for n in range(16)]
    for n in range(16):
        write_wav(path / f"{n}.wav", tone(300 + 200 * (n % 4), 0.3))
    (path / "table.csv").write_text("file,text\n" + "".join(rows))
    return ["data=audio_transcripts", f"data.path={path / 'table.csv'}", f"data.cache_dir={folder}", "features.bands=6"]
