"""The command ``seqmodels``: it picks the subcommand and imports nothing else."""

import sys
from importlib import import_module

from seqmodels.errors import nearest
from seqmodels.system.streams import discard_output

COMMANDS = {
    "train": ("seqmodels.commands.train:train", "train and test a model: seqmodels train cell=gru cell.hidden_size=64"),
    "evaluate": ("seqmodels.commands.train:evaluate", "test a finished run again: seqmodels evaluate run=DIR"),
    "predict": ("seqmodels.commands.predict:main", "predict for new data: seqmodels predict run=DIR input=new.csv"),
    "generate": ("seqmodels.commands.generate:main", "let a model write text: seqmodels generate run=DIR prompt=Once"),
    "sweep": ("seqmodels.commands.sweep:main", "search for the best configuration: seqmodels sweep sweep.trials=30"),
    "sweep-report": ("seqmodels.commands.sweep_report:main", "table, page and best of a sweep: dir=DIR"),
    "cells": ("seqmodels.commands.cells:main", "list the cells: paper, equations, back-ends"),
    "data": ("seqmodels.commands.data:main", "list, verify or download data sets: seqmodels data verify mnist"),
    "doctor": ("seqmodels.commands.doctor:main", "say what this machine has, and which back-ends run on it"),
}


def main() -> None:
    """Run a subcommand and exit with its status: 0, 1 when it failed, 2 when what was asked for is wrong."""
    sys.exit(run(sys.argv[1:]))


def run(tokens: list[str]) -> int:
    """Run the subcommand that ``tokens`` name and return its exit status."""
    if not tokens or tokens[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return 0
    if tokens[0] == "--version":
        from seqmodels import __version__  # noqa: PLC0415

        sys.stdout.write(f"seqmodels {__version__}\n")
        return 0
    name, *rest = tokens
    if name not in COMMANDS:
        there = f"{nearest(name, COMMANDS)} (there are: {', '.join(COMMANDS)})"
        sys.stderr.write(f"seqmodels: there is no command {name!r}{there}\n")
        return 2
    return _call(COMMANDS[name][0], rest)


def _call(place: str, tokens: list[str]) -> int:
    """Import and call a subcommand; an error becomes a message and a status."""
    module, function = place.split(":")
    try:
        return int(getattr(import_module(module), function)(tokens))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        discard_output()
        return 0
    except (ValueError, OSError) as error:
        from seqmodels.commands.app import report  # noqa: PLC0415

        return report(error)


def usage() -> str:
    """Return the help of the command."""
    lines = "\n".join(f"  {name:14}{text}" for name, (_, text) in COMMANDS.items())
    return (
        "seqmodels <command> [group=option ...] [key=value ...]\n\n"
        f"{lines}\n\n"
        "seqmodels <command> --help says more. SEQMODELS_DATA_DIR names the folder of data sets,\n"
        "allow=mycells.* the modules of your own that files of others may name.\n"
    )
