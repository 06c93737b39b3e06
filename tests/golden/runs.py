"""Short runs of every task with stored losses, which show whether a code change changes results.

They use double precision and the back-end ``eager``, so that rounding differences between machines do not grow over 50
steps to the tolerance of the comparison.
"""

import math
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from seqmodels.training.fit import train
from tests.composing import PLAIN, composed

STEPS = 50
GOLDEN = Path(__file__).parent
COMMON = [
    *("trainer=cpu", "threads=1", "seed=3", "test=false", "logger=none", "callbacks=none", "callbacks.progress=null"),
    *("trainer.max_epochs=-1", f"trainer.max_steps={STEPS}", "trainer.limit_val_batches=0", "scheduler=constant"),
    *("optimizer.lr=0.01", "cell.hidden_size=7", "data.batch_size=11"),
]
EXACT = ["trainer.precision=64-true", "model.backend=eager"]
LABELS = ("red", "green", "blue")


class Losses(Callback):
    """Records the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self.losses.append(loss.item())


def runs(folder: Path) -> dict[str, list[str]]:
    """Return the overrides of each run; their files are written to ``folder``."""
    table, series, text = folder / "table.csv", folder / "series.csv", folder / "text.txt"
    rows = [[f"w{(row * step + row // 11) % 37}" for step in range(2, 7)] for row in range(111)]
    labels = [";".join(name for bit, name in enumerate(LABELS) if row >> bit & 1) for row in range(111)]
    lines = [f"{' '.join(words)},{label}" for words, label in zip(rows, labels, strict=True)]
    table.write_text("text,labels\n" + "\n".join(lines) + "\n")
    values = [math.sin(step / 5) + step / 100 for step in range(300)]
    series.write_text("value\n" + "\n".join(f"{value:.6f}" for value in values) + "\n")
    text.write_text(" ".join(f"the {n} quick foxes jump over {n * n} lazy dogs" for n in range(300)))
    language = ["data=text", f"data.path={text}", "data.bptt=13", f"data.cache_dir={folder}", "model.embedding_size=5"]
    return {
        "classification_numbers": ["data=digits", "cell=lstm", *PLAIN],
        "classification_tokens": ["data=parity", "data.train_rows=300", "cell=gru"],
        "multilabel": ["data=text_csv_multilabel", f"data.path={table}", "cell=gru", "optimizer=adam", *PLAIN],
        "regression": ["data=adding", "data.train_rows=300", "data.time=9", "cell=lstm"],
        "forecasting": ["data=csv_series", f"data.path={series}", "data.input_length=17", "data.horizon=3"],
        "forecasting_gaussian": [
            *(
                "data=csv_series",
                f"data.path={series}",
                "data.input_length=17",
                "data.horizon=3",
                "likelihood=gaussian",
            ),
        ],
        "language_modeling": [*language, "cell=lstm"],
        "language_modeling_regularized": [
            *language,
            *("cell=lstm", "regularizers=[recurrent_dropout,zoneout]", "model.dropout_output=0.2"),
        ],
    }


def losses(folder: Path, overrides: list[str], *more: str) -> list[float]:
    """Return the loss of every step of a run."""
    seen: Any = Losses()
    train(composed(folder, *overrides, *COMMON, *more), seen)
    return seen.losses
