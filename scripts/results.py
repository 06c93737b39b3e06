"""Train the experiments that have a published figure to reach, and write the table of what came out.

    SEQMODELS_DATA_DIR=/data python scripts/results.py names sst2          # these; all where none is named
    python scripts/results.py --read logs/names/<time> ...                 # take runs that are there already
    python scripts/results.py --render                                     # only write docs/results.md again

Each run is the command in its row, in a process of its own. What is known is kept in docs/results.json, run by run, and
not run again (--again does). Exits with 1 where a row misses its goal.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
STORE, PAGE, README = ROOT / "docs" / "results.json", ROOT / "docs" / "results.md", ROOT / "README.md"
WITHOUT_EFFECT = ("threads", "trainer", "logger", "paths.output_dir", "paths.data_dir", "hydra.run.dir")
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


class Row(NamedTuple):
    """An experiment, what of its metrics counts, and what that must reach."""

    experiment: str
    metric: str
    goal: float
    published: str
    seeds: tuple[int, ...] = (1, 2, 3)
    least: bool = True  # the goal is a lower bound
    also: tuple[str, ...] = ()  # metrics beside it
    options: tuple[str, ...] = ()  # beside those of the experiment

    def command(self, seed: int) -> str:
        return " ".join([f"seqmodels train experiment={self.experiment}", *self.options, f"seed={seed}"])


ROWS = (
    Row("japanese_vowels", "test/accuracy", 0.98, "padded LSTM .797, TCN .989"),
    Row("mnist_rows", "test/accuracy", 0.988, "LSTM .985 to .990", (1,)),
    Row("imdb", "test/accuracy", 0.87, "LSTM .865, Keras' bidirectional LSTM .878", (1,)),
    Row("sst2", "test/accuracy", 0.80, ".78 to .81 from sentences alone"),
    Row("names", "test/accuracy", 0.80, "LSTM .75 to .85"),
    Row("tiny_shakespeare", "test/loss", 1.55, "small Transformer on a CPU 1.88 nats", (1,), least=False),
    Row("ptb", "test/perplexity", 120, "87.2 after 40 epochs, 110.4 after 6", (1,), least=False),
    Row("ett", "test/mse", 0.365, "SegRNN .351, plain GRU 1.135", least=False, also=("test/mae",)),
    Row("jsb_chorales", "test/loss", 8.4, "GRU 8.43, TCN 8.10 nats a frame", least=False),
    Row("adding", "test/loss", 1e-3, "always answering 1 has .167", (1, 2, 3), least=False),
    Row("adding_elman", "test/loss", 0.15, "stays near .167: the gradient vanishes"),
    Row("parity", "test/accuracy", 1.0, "LSTM 1.0"),
    Row(
        "seed003_text_generation",
        "parameters",
        2028816,
        "an article's code, which cannot run: 2 028 816 parameters",
        (1,),
        also=("test/perplexity",),
        options=("trainer.max_epochs=1", "trainer.limit_train_batches=1000"),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", choices=[[], *(row.experiment for row in ROWS)])
    parser.add_argument("--again", action="store_true", help="run also what is known")
    parser.add_argument("--read", nargs="+", type=Path, default=[], help="folders of runs to take in; run nothing")
    parser.add_argument("--render", action="store_true", help="run nothing, write the page")
    arguments = parser.parse_args()
    known: dict[str, Any] = json.loads(STORE.read_text()) if STORE.is_file() else {}
    rows = [row for row in ROWS if not arguments.experiments or row.experiment in arguments.experiments]
    known |= dict(read(folder) for folder in arguments.read)
    STORE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    for row in [] if arguments.render or arguments.read else rows:
        for seed in row.seeds:
            command = row.command(seed)
            if arguments.again or command not in known:
                known[command] = run(command)
                STORE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    between_marks(PAGE, f"{table(known)}\n\n{measured_on(known)}")
    between_marks(README, table(known, short=True))
    missed = [row.experiment for row in rows if (found := values(row, known)) and not reached(row, found)]
    print("missed: " + ", ".join(missed) if missed else "all of them reached")
    return int(bool(missed))


def run(command: str) -> dict[str, Any]:
    """Run a command of ours and return what came out."""
    print(command, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        words = [str(Path(sys.executable).parent / "seqmodels"), *command.split()[1:], f"paths.output_dir={folder}"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        _, found = read(Path(folder))
    print({name: value for name, value in found["metrics"].items() if "test/" in name}, flush=True)
    return found


def read(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the command of a finished run, and its final metrics with what they were measured on."""
    environment = json.loads(Path(folder, "environment.json").read_text())
    options = dict(word.split("=", 1) for word in environment["command"][2:])
    experiment, seed = options.pop("experiment"), options.pop("seed", "1")
    words = [f"{key}={value}" for key, value in options.items() if key not in WITHOUT_EFFECT]
    found = {
        "metrics": json.loads(Path(folder, "metrics.json").read_text()),
        "threads": environment["threads"],
        "date": environment["time"][:10],
        "machine": f"{environment['cpu_count']} cores, torch {environment['packages']['torch']}",
    }
    return " ".join([f"seqmodels train experiment={experiment}", *words, f"seed={seed}"]), found


def values(row: Row, known: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of a row that are known."""
    return [found for seed in row.seeds if (found := known.get(row.command(seed))) is not None]


def reached(row: Row, found: list[dict[str, Any]]) -> bool:
    value = statistics.fmean(one["metrics"][row.metric] for one in found)
    return value >= row.goal if row.least else value <= row.goal


def between_marks(page: Path, content: str) -> None:
    text = page.read_text()
    page.write_text(f"{text[: text.index(BEGIN) + len(BEGIN)]}\n\n{content}\n\n{text[text.index(END) :]}")


def table(known: dict[str, Any], *, short: bool = False) -> str:
    """Return the results as a table in Markdown."""
    header = ["`experiment=`", "figure", "published"]
    header += [] if short else ["goal", "parameters", "minutes", "seeds"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for row in ROWS:
        if not (found := values(row, known)):
            continue
        figures = ", ".join(
            f"{name} {_spread([one['metrics'][name] for one in found])}" for name in (row.metric, *row.also)
        )
        cells = [
            f"`{' '.join([row.experiment, *row.options])}`",
            figures + ("" if reached(row, found) else " (missed)"),
            row.published,
        ]
        if not short:
            minutes = statistics.fmean(one["metrics"]["seconds"] / 60 for one in found)
            cells += [f"{'≥' if row.least else '≤'} {row.goal:g}", f"{found[0]['metrics']['parameters']:,.0f}"]
            cells += [f"{minutes:.1f}", ", ".join(str(seed) for seed in row.seeds[: len(found)])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def measured_on(known: dict[str, Any]) -> str:
    dates, machines = ({run[name] for run in known.values()} for name in ("date", "machine"))
    threads = sorted({str(run["threads"]) for run in known.values()})
    return (
        f"Minutes are those of training, on {' or '.join(threads)} thread of a machine that other work was using, too: "
        "it is quicker alone. Where there are several seeds, figures are mean ± standard deviation. "
        f"{', '.join(sorted(dates))}; {'; '.join(sorted(machines))}."
    )


def _spread(numbers: list[float]) -> str:
    mean = statistics.fmean(numbers)
    spread = f" ± {statistics.stdev(numbers):.2g}" if len(numbers) > 1 else ""
    return f"{mean:.4g}{spread}" if mean < 1e4 else f"{mean:.0f}"


if __name__ == "__main__":
    sys.exit(main())
