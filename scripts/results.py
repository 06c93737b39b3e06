"""Train the experiments that have a published figure to reach, and write the table of what came out.

    SEQMODELS_DATA_DIR=/data python scripts/results.py names sst2          # these; all where none is named
    python scripts/results.py --read logs/names/<time> ...                 # take runs that are there already
    python scripts/results.py --render                                     # only write docs/results.md again

Each run is the command in its row, in a process of its own. What is known is kept in docs/results.json, run by run, and
not run again (--again does). Exits with 1 where a row misses its goal.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

from tabulating.page import between_marks, markdown, spread
from tabulating.runs import ROOT, STORE, Run, load, run_all, save, taken

PAGE, README = STORE.with_name("results.md"), ROOT / "README.md"


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
    Row("ud_ewt", "test/accuracy", 0.935, "BiLSTM of words and characters .94 to .955", (1,)),
    Row("fsdd", "test/accuracy", 0.985, "other networks .95 to .99"),
    Row("yesno", "test/wer", 0.02, "Kaldi, monophones 0", least=False),
    Row(
        "cmudict",
        "test/per",
        0.08,
        "LSTM encoder-decoder .076 of phonemes, .286 of words",
        (1,),
        least=False,
        also=("test/wer",),
    ),
    Row(
        "multi30k_de_en",
        "test/bleu",
        31,
        "networks of twenty times the parameters 28.3 (greedy) to 31 (beam)",
        (1,),
        also=("test/chrf",),
    ),
    Row("copy", "test/exact_match", 0.99, "drawn at random", (1,)),
    Row("reverse", "test/exact_match", 0.99, "drawn at random", (1,)),
    Row("tiny_shakespeare", "test/loss", 1.55, "small Transformer on a CPU 1.88 nats", (1,), least=False),
    Row("ptb", "test/perplexity", 120, "87.2 after 40 epochs, 110.4 after 6", (1,), least=False),
    Row("ett_96", "test/mse", 0.375, "SegRNN from 96 hours .368", least=False, also=("test/mae",)),
    Row(
        "ett_720",
        "test/mse",
        0.365,
        "SegRNN from 720 hours .351, before its evaluation was corrected; plain GRU 1.135",
        least=False,
        also=("test/mae",),
    ),
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
CELLS = (
    *("elman", "concat_linear", "jordan", "lstm", "lstm_no_output_gate"),
    *("gru", "gru_reset_after", "forget_input", "forget_input_output"),
)
BY_CELL = {
    name: {
        cell: Row(name, "test/exact_match", 0.99, "", (1,), options=() if cell == "gru" else (f"cell={cell}",))
        for cell in CELLS
    }
    for name in ("copy", "reverse")
}
"""Experiments that every cell of the articles must solve, whose own cell is ``gru``."""
BY_SPEAKER = {
    speaker: Row("fsdd", "test/accuracy", 0, "", (1,), options=(f"data.test_speaker={speaker}",))
    for speaker in ("jackson", "nicolas", "theo", "yweweler")
}
"""Spoken digits of a speaker who was not heard in training; no figure is required."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", choices=[[], *(row.experiment for row in ROWS)])
    parser.add_argument("--again", action="store_true", help="run also what is known")
    parser.add_argument("--read", nargs="+", type=Path, default=[], help="folders of runs to take in; run nothing")
    parser.add_argument("--render", action="store_true", help="run nothing, write the page")
    arguments = parser.parse_args()
    every = dict.fromkeys([*ROWS, *(row for rows in BY_CELL.values() for row in rows.values()), *BY_SPEAKER.values()])
    rows = [row for row in every if not arguments.experiments or row.experiment in arguments.experiments]
    failed = []
    if arguments.read:
        save(load(STORE) | taken(arguments.read), STORE)
    elif not arguments.render:
        known = {} if arguments.again else load(STORE)
        commands = dict.fromkeys(row.command(seed) for row in rows for seed in row.seeds)
        failed = run_all([command for command in commands if command not in known], STORE)
    known = load(STORE)
    between_marks(PAGE, "results", f"{table(known)}\n\n{measured_on(known)}")
    between_marks(PAGE, "cells", cells_table(known))
    between_marks(PAGE, "speakers", speakers_table(known))
    between_marks(README, "results", table(known, short=True))
    missed = [row.command(1) for row in rows if (found := values(row, known)) and not reached(row, found)]
    print("missed: " + ", ".join(missed) if missed else "all of them reached")
    return int(bool(missed or failed))


def values(row: Row, known: dict[str, Run]) -> list[Run]:
    """Return the runs of a row that are known."""
    return [found for seed in row.seeds if (found := known.get(row.command(seed))) is not None]


def reached(row: Row, found: list[Run]) -> bool:
    value = statistics.fmean(one["metrics"][row.metric] for one in found)
    return value >= row.goal if row.least else value <= row.goal


def table(known: dict[str, Run], *, short: bool = False) -> str:
    """Return the results as a table in Markdown."""
    header = ["`experiment=`", "figure", "published"]
    header += [] if short else ["goal", "parameters", "minutes", "seeds"]
    lines = []
    for row in ROWS:
        if not (found := values(row, known)):
            continue
        figures = ", ".join(
            f"{name} {spread([one['metrics'][name] for one in found])}" for name in (row.metric, *row.also)
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
        lines.append(cells)
    return markdown(header, lines)


def cells_table(known: dict[str, Run]) -> str:
    """Return what each cell of the articles reaches on the experiments of :data:`BY_CELL`."""
    lines = []
    for cell in CELLS:
        found = [values(rows[cell], known) for rows in BY_CELL.values()]
        lines.append(
            [f"`{cell}`", *(f"{runs[0]['metrics']['test/exact_match']:.4f}" if runs else "not run" for runs in found)]
        )
    return markdown(["`cell=`", *(f"`{name}`" for name in BY_CELL)], lines)


def speakers_table(known: dict[str, Run]) -> str:
    """Return the accuracy on each speaker of :data:`BY_SPEAKER` after training on the others."""
    lines = []
    for speaker, row in BY_SPEAKER.items():
        runs = values(row, known)
        lines.append([f"`{speaker}`", f"{runs[0]['metrics']['test/accuracy']:.3f}" if runs else "not run"])
    return markdown(["`data.test_speaker=`", "test/accuracy"], lines)


def measured_on(known: dict[str, Run]) -> str:
    """Return what the table does not say of its runs: the machines, dates and threads."""
    found = {row.experiment: values(row, known) for row in ROWS}
    machines = sorted({run["machine"] for runs in found.values() for run in runs})
    lines = []
    for machine in machines:
        here = {name: runs for name, runs in found.items() if any(run["machine"] == machine for run in runs)}
        dates = sorted({run["date"] for runs in here.values() for run in runs if run["machine"] == machine})
        which = "" if len(machines) == 1 else f": {', '.join(f'`{name}`' for name in here)}"
        lines.append(f"{', '.join(dates)}, {machine}{which}")
    return (
        "Minutes are those of training, on one CPU thread or one GPU that other work was using, too: it is quicker "
        f"alone. Where there are several seeds, figures are mean ± standard deviation. {'; '.join(lines)}."
    )


if __name__ == "__main__":
    sys.exit(main())
