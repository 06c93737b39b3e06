"""One of several processes that train the jobs in ``jobs.json`` of the given folder, one after another."""

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
