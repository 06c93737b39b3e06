"""One of several processes that train what a file lists, one after the other: ``jobs.json`` in the folder named."""

import json
import sys
from pathlib import Path

from seqmodels.training.fit import train
from tests.composing import composed


def run(folder: Path) -> None:
    for name, overrides in json.loads((folder / "jobs.json").read_text()).items():
        train(composed(folder / name, *overrides))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
