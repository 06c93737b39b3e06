"""The losses of 50 steps of each task, beside those that are kept in tests/golden.

    python scripts/golden_losses.py [--update]

Prints how far each run is from what is kept; with ``--update`` keeps the new losses instead. Say in the commit why they
have changed. Exits with 1 where a run drifts.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.golden.runs import EXACT, GOLDEN, losses, runs

TOLERANCE = 1e-6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="keep the losses of now")
    arguments = parser.parse_args()
    drifted = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for run, overrides in runs(folder).items():
            path = GOLDEN / f"{run}.json"
            now = losses(folder / run, overrides, *EXACT)
            if arguments.update:
                path.write_text(json.dumps(now, indent=0) + "\n")
            kept = json.loads(path.read_text())
            drift = max(abs(a - b) / abs(b) for a, b in zip(now, kept, strict=True))
            drifted |= drift > TOLERANCE
            print(f"{run:32s} {now[0]:.6f} -> {now[-1]:.6f}  drift {drift:.1e}")
    return int(drifted)


if __name__ == "__main__":
    sys.exit(main())
