"""A short run in a separate process that prints the SHA-256 of its weights: python -m tests.determined FOLDER ..."""

import hashlib
import sys
from pathlib import Path

import torch

from seqmodels.training.fit import train
from tests.composing import PLAIN, composed

RUN = [
    *("trainer=cpu", "trainer.max_epochs=2", "trainer.limit_train_batches=5", "trainer.limit_val_batches=1"),
    *("test=false", "logger=none", "callbacks.progress=null", "cell.hidden_size=7", "seed=5", "data.batch_size=16"),
    *("regularizers=[recurrent_dropout,zoneout]", "model.dropout=0.2", "model.depth=2", "augmentation=jitter"),
]


def main(folder: Path, *overrides: str) -> str:
    """Train, and return the sha256 of names and values of all weights."""
    train(composed(folder, "data=digits", *PLAIN, *RUN, *overrides))
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    weights = hashlib.sha256()
    for name, value in state.items():
        weights.update(name.encode() + value.numpy().tobytes())
    return weights.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1]), *sys.argv[2:]) + "\n")
