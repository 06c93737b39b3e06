"""The command ``seqmodels``: selects the subcommand and imports nothing else."""

import sys
from importlib import import_module

from seqmodels.errors import nearest
from seqmodels.system.streams import discard_output

COMMANDS = {
    "train": ("seqmodels.commands.train:train", "train and test a model: seqmodels train cell=gru cell.hidden_size=64"),
    "evaluate": ("seqmodels.commands.train:evaluate", "test a finished run: seqmodels evaluate run=DIR"),
    "predict": ("seqmodels.commands.predict:main", "predict for new data: seqmodels predict run=DIR input=new.csv"),
    "generate": ("seqmodels.commands.generate:main", "generate text: seqmodels generate run=DIR prompt=Once"),
    "export": (
        "seqmodels.commands.export:main",
        "write a model for elsewhere: seqmodels export run=DIR format=onnx output=DIR",
    ),
    "explain": ("seqmodels.commands.explain:main", "look into a model: seqmodels explain run=DIR what=gradients"),
    "serve": ("seqmodels.commands.serve:main", "serve a trained model over HTTP: seqmodels serve model=DIR"),
    "sweep": (
        "seqmodels.commands.sweeps.sweep:main",
        "search for the best configuration: seqmodels sweep sweep.trials=30",
    ),
    "sweep-report": (
        "seqmodels.commands.sweeps.sweep_report:main",
        "report on a sweep: seqmodels sweep-report dir=DIR",
    ),
    "runs": (
        "seqmodels.commands.runs.listing:main",
        "list, compare or delete runs: seqmodels runs sort=test/f1",
    ),
    "report": (
        "seqmodels.commands.runs.report:main",
        "write the report of a run, or of several to compare: seqmodels report latest",
    ),
    "cells": ("seqmodels.commands.cells:main", "list the cells: paper, equations, back-ends"),
    "data": ("seqmodels.commands.data:main", "list, verify or download data sets: seqmodels data verify mnist"),
    "completion": (
        "seqmodels.commands.completion:main",
        'complete commands, groups and keys: eval "$(seqmodels completion bash)"',
    ),
    "doctor": ("seqmodels.commands.doctor:main", "show this machine's hardware and the back-ends that run on it"),
}
HELP = ("-h", "--help", "help")


def main() -> None:
    """Run a subcommand and exit with its status: 0 on success, 1 if it failed, 2 if the command line is wrong."""
    sys.exit(run(sys.argv[1:]))


def run(tokens: list[str]) -> int:
    """Run the subcommand that ``tokens`` name and return its exit status."""
    if tokens[:1] and tokens[0] in HELP and tokens[1:2] and tokens[1] in COMMANDS:
        return run([tokens[1], "--help", *tokens[2:]])
    if not tokens or tokens[0] in HELP:
        sys.stdout.write(usage())
        return 0
    if tokens[0] == "--version":
        from seqmodels import __version__  # noqa: PLC0415

        sys.stdout.write(f"seqmodels {__version__}\n")
        return 0
    if tokens[:2] == ["completion", "words"] and len(tokens) == 3:  # a shell asks for the commands themselves
        found = [(name, text) for name, (_, text) in COMMANDS.items() if name.startswith(tokens[2])]
        sys.stdout.writelines(f"{name}\t{text}\n" for name, text in found)
        return 0
    name, *rest = tokens
    if name not in COMMANDS:
        hint = f"{nearest(name, COMMANDS)} (commands: {', '.join(COMMANDS)})"
        sys.stderr.write(f"seqmodels: there is no command {name!r}{hint}\n")
        return 2
    return _call(COMMANDS[name][0], rest)


def _call(place: str, tokens: list[str]) -> int:
    """Import and call a subcommand; print errors as a message and return the exit status."""
    name, function = place.split(":")
    try:
        module = import_module(name)
        if {"-h", "--help"} & set(tokens) and hasattr(module, "USAGE"):
            sys.stdout.write(module.USAGE)
            return 0
        return int(getattr(module, function)(tokens))
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
        "See seqmodels <command> --help for details; seqmodels train --help data=csv_series for keys of an option.\n"
        "SEQMODELS_DATA_DIR sets the folder of data sets; allow=mycells.* permits files from elsewhere to use your\n"
        "module mycells.\n"
    )
