"""``seqmodels sweep-report``, also run at the end of a sweep: tables, an experiment file for the best trial, a page."""

import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from seqmodels.commands.tables import console
from seqmodels.config.experiment_file import write_experiment
from seqmodels.errors import ConfigError, nearest

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from seqmodels.sweeping.study import Facts

USAGE = (
    "seqmodels sweep-report dir=DIR [storage=URL]\n\n"
    "Prints the best trials of a sweep, and writes trials.csv, page.html and experiment/best.yaml into its folder.\n"
    "storage= is needed if the storage of the sweep is a database.\n"
)
MAX_ROWS = 10


def main(tokens: list[str]) -> int:
    """Report on a sweep, finished or not; return 1 if any of its trials failed, else 0."""
    given = dict(token.partition("=")[::2] for token in tokens)
    if unknown := set(given) - {"dir", "storage"}:
        hint = nearest(min(unknown), ("dir", "storage"))
        raise ConfigError(f"sweep-report: {min(unknown)} is not known{hint} (options: dir=, storage=)")
    if not given.get("dir"):
        raise ConfigError("seqmodels sweep-report needs the folder of a sweep: dir=logs/<name>/sweeps/<time>")
    with needs_optuna():
        from seqmodels.sweeping.study import load_sweep, quiet_optuna  # noqa: PLC0415

    folder = Path(given["dir"].strip("'\"")).absolute()
    with quiet_optuna():
        return report(folder, *load_sweep(folder, given.get("storage")))


@contextmanager
def needs_optuna() -> Iterator[None]:
    """Replace the error for a missing optuna by one that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("seqmodels"):
            raise
        raise ConfigError(f"sweeps need the package {error.name!r}: pip install 'seqmodels[sweep]'") from error


def report(folder: Path, study: "Study", confirmation: "Study | None", facts: "Facts") -> int:
    """Print the best trials of a sweep and write its files; return 1 if any trial finally failed, else 0."""
    from seqmodels.sweeping.page import write_page  # noqa: PLC0415
    from seqmodels.sweeping.results import best_of, write_trials  # noqa: PLC0415
    from seqmodels.sweeping.worker import failed  # noqa: PLC0415

    out = console()
    trials = study.get_trials(deepcopy=False)
    write_trials(folder / "trials.csv", study)
    _print_best(study)
    if confirmation is not None:
        _print_confirmation(confirmation)
    best, command = best_of(study, confirmation), "no trial is complete"
    if best is not None:
        command = _write_best(folder, study, best, facts)
    write_page(folder / "page.html", f"Sweep {folder.name}", study, confirmation, command)
    for trial in failed(trials):
        out.print(f"trial {trial.number} failed: {trial.user_attrs.get('cause')}")
    states = Counter(trial.state.name.lower() for trial in trials)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    for line in (
        f"trials: {counts}",
        f"train the best: {command}",
        f"page: {folder / 'page.html'}",
        f"sweep folder: {folder}",
    ):
        out.print(line, soft_wrap=True)
    return 1 if failed(trials) or (confirmation is not None and failed(confirmation.get_trials(deepcopy=False))) else 0


def _write_best(folder: Path, study: "Study", best: "FrozenTrial", facts: "Facts") -> str:
    """Write the best trial, and any other on the Pareto front, as experiments; return the command of the best."""
    from seqmodels.sweeping.driver import ranked  # noqa: PLC0415
    from seqmodels.sweeping.space import Space  # noqa: PLC0415

    space = Space(facts.space)
    front = ranked(study) if len(study.directions) > 1 else []
    commands = {}
    for name, trial in {**{f"trial_{t.number:04d}": t for t in front}, "best": best}.items():
        values = zip(study.metric_names or [], trial.values, strict=False)
        comment = [
            shlex.join(["seqmodels", "train", "--config-dir", str(folder), f"experiment={name}"]),
            f"trial {trial.number} of {len(study.trials)}: {', '.join(f'{n} {v:.4g}' for n, v in values)}",
        ]
        overrides = [*facts.overrides, *space.overrides(trial.params)]
        path = folder / "experiment" / f"{name}.yaml"
        rest = write_experiment(path, overrides, comment, facts.config_dir)
        commands[name] = shlex.join(["seqmodels", "train", "--config-dir", str(folder), f"experiment={name}", *rest])
    return commands["best"]


def _print_best(study: "Study") -> None:
    from seqmodels.sweeping.driver import ranked  # noqa: PLC0415
    from seqmodels.sweeping.page import format_cell  # noqa: PLC0415
    from seqmodels.sweeping.results import header, row  # noqa: PLC0415

    names = header(study)
    keep = [index for index, name in enumerate(names) if name not in ("duration_s", "state", "cause", "folder")]
    table = Table(*(names[index] for index in keep), "duration", title="best trials")
    for trial in ranked(study)[:MAX_ROWS]:
        cells = row(study, trial)
        seconds = f"{trial.duration.total_seconds():.1f} s" if trial.duration else ""
        table.add_row(*(format_cell(cells[index]) for index in keep), seconds)
    console().print(table)


def _print_confirmation(confirmation: "Study") -> None:
    from seqmodels.sweeping.results import confirmed, label  # noqa: PLC0415

    spreads = confirmed(confirmation)
    if not spreads:
        return
    names = list(next(iter(spreads.values())))
    table = Table("trial", *names, "seeds", title="with further seeds: mean ± standard deviation")
    for number, spread in spreads.items():
        table.add_row(label(number), *(str(spread[name]) for name in names), str(spread[names[0]].runs))
    console().print(table)
