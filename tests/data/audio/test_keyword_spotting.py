"""From a folder of recordings with classes to predictions, by commands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seqmodels.training.fit import train
from tests.composing import TINY, composed
from tests.conftest import Answer
from tests.sounds import tone, write_wav


def test_a_folder_of_classes_is_learnt_and_new_files_are_classified(
    command: Callable[..., Answer], tmp_path: Path
) -> None:
    for label, frequency in (("low", 300.0), ("high", 1200.0)):
        for row in range(10):
            write_wav(tmp_path / "wavs" / label / f"{row}.wav", tone(frequency + 9 * row, 0.05 + 0.005 * row))
    options = ["data=audio_folder", f"data.path={tmp_path / 'wavs'}", "data.val_share=0.2", "data.test_share=0.2"]
    options += [f"data.cache_dir={tmp_path / 'cache'}", "features=mfcc", "features.bands=8", "features.coefficients=5"]
    options += ["waveform=[shift,noise]", "cell=gru", "cell.hidden_size=6", "data.batch_size=6", "optimizer.lr=0.05"]
    whole = ["trainer.max_epochs=15", "trainer.limit_train_batches=1.0", "trainer.limit_test_batches=1.0"]
    options += ["logger=none", *TINY, *whole]
    metrics = train(composed(tmp_path / "run", *options))
    assert metrics["test/accuracy"] == 1
    assert metrics["test/majority_accuracy"] == 0.5, "baselines are tested on the same features"

    for name, frequency in (("a", 310.0), ("b", 1210.0)):
        write_wav(tmp_path / "new" / f"{name}.wav", torch.stack([tone(frequency, rate=8000)] * 2, 1), 8000)
    answer = command("predict", f"run={tmp_path / 'run' / 'model'}", f"input={tmp_path / 'new'}")
    assert answer.status == 0, answer.err
    rows = [json.loads(line) for line in answer.out.splitlines() if line.startswith("{")]
    assert [(Path(row["file"]).name, row["class"]) for row in rows] == [("a.wav", "low"), ("b.wav", "high")]
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1)
    answer = command("evaluate", f"run={tmp_path / 'run'}", f"input={tmp_path / 'wavs'}")
    assert answer.status == 0, answer.err
    assert "test/accuracy" in answer.out
