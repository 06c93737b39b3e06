"""Create a reference checkpoint and the outputs of its network, with the current package or that of a commit.

    python tests/training/legacy/make.py NAME                     # NAME.ckpt and NAME.json beside this file

For an older package: ``git archive COMMIT | tar x -C FOLDER``, then the same with ``PYTHONPATH=FOLDER/src``.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from seqmodels.training.checkpointing import load_task

OVERRIDES = (
    *("data=digits", "cell=lstm", "cell.hidden_size=3", "logger=none", "trainer=cpu", "trainer.max_epochs=1"),
    *("trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1"),
)


def main(name: str) -> None:
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "seqmodels", "train", *OVERRIDES, f"hydra.run.dir={folder}"]
        subprocess.run(command, check=True)
        shutil.copy(Path(folder, "checkpoints", "best.ckpt"), here / f"{name}.ckpt")
    x, lengths = torch.arange(2 * 5 * 8).reshape(2, 5, 8).sin(), torch.tensor([5, 3])
    outputs = load_task(here / f"{name}.ckpt").model(x, lengths).tolist()
    (here / f"{name}.json").write_text(json.dumps(outputs) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
