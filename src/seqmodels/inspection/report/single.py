"""The report of one run."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from seqmodels.errors import ConfigError
from seqmodels.inspection.report.blocks import Block, Page, Section, Table, Text
from seqmodels.inspection.report.history import read_history
from seqmodels.inspection.report.metrics import metric_table, number, tiles
from seqmodels.inspection.report.outputs import test_parts
from seqmodels.inspection.report.page import write_page
from seqmodels.inspection.report.training import described, learning_curves, optimisation, time_and_memory
from seqmodels.system.json_text import read_json
from seqmodels.training.records.differences import values_of
from seqmodels.training.records.folders import given_name
from seqmodels.training.records.reading import LOADER, Run, as_text, read_run
from seqmodels.training.records.record import RECORD, read_record

REPORT = "report.html"
NOT_REPEATED = ("resume=", "accept_changes=")


def write_report(folder: Path) -> Path:
    """Write the report of a run into its folder and return its path.

    Raises:
        ConfigError: a file of the run is damaged.
        OSError: the report cannot be written.
    """
    path = folder / REPORT
    write_page(path, run_page(folder))
    return path


def run_page(folder: Path) -> Page:
    """Return the report of a run as a page.

    Raises:
        ConfigError: a file of the run is damaged.
    """
    run, record, history = read_run(folder), read_record(folder), read_history(folder)
    values, environment = values_of(run), _environment(folder)
    table = metric_table(run.metrics)
    made: list[tuple[str, list[Block]]] = [
        ("What was trained", _summary(run, values, record, environment)),
        ("Metrics", [table] if table is not None else []),
        ("Learning curves", learning_curves(history, run)),
        *tested(folder, record),
        ("Learning rate and gradients", optimisation(history)),
        ("Time and memory", time_and_memory(record, history)),
        ("Environment", _machine(environment)),
        ("Configuration", _config(folder)),
    ]
    if run.damaged:
        made.insert(0, ("Damaged files", [Text(f"These files cannot be read: {', '.join(run.damaged)}")]))
    sections = [Section(title, blocks) for title, blocks in made if blocks]
    ended = datetime.fromtimestamp(run.changed, UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [as_text(values.get(key)) for key in ("task", "data", "cell")]
    subtitle = " · ".join([*(part for part in parts if part), run.state, ended])
    return Page(_title(folder, run), subtitle, tiles(run), sections)


def _title(folder: Path, run: Run) -> str:
    """Return the name of a run; a job of a multirun has a number for a folder."""
    name = given_name(folder)
    return as_text(run.config.get("run_name")) or name if name.isdecimal() else name


def tested(folder: Path, record: Mapping[str, Any]) -> list[tuple[str, list[Block]]]:
    """Return title and content of the sections on the test in a record.

    Raises:
        ConfigError: it is not as runs write it.
    """
    try:
        return test_parts(record.get("test") or {})
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # the run of someone else may hold anything
        raise ConfigError(f"{folder / RECORD}: its part test is not as runs write it: {error!r}") from error


def _summary(
    run: Run, values: Mapping[str, Any], record: Mapping[str, Any], environment: Mapping[str, Any]
) -> list[Block]:
    data = record.get("data", {})
    about = {
        "data": " ".join(filter(None, [as_text(values.get("data")), as_text(run.config.get("data.path"))])),
        "rows": described(data.get("rows", {})),
        "task": as_text(values.get("task")),
        "network": _network(values),
        "parameters": number(run.metrics["parameters"]) if "parameters" in run.metrics else "",
        "optimiser": _joined(values, "optimizer", ("lr", "weight_decay")),
        "training": _length(run),
        "seed": as_text(run.config.get("seed")),
        "processes": as_text(record["processes"]) if record.get("processes", 1) > 1 else "",
    }
    rows = [[name, value] for name, value in about.items() if value]
    return [Table(["", ""], rows, left=2), Text(_command(run.folder, environment), code=True)]


def _network(values: Mapping[str, Any]) -> str:
    cell = _joined(values, "cell", ("hidden_size",))
    parts = [as_text(values.get("model")), cell]
    parts += [f"depth {values['model.depth']}"] if values.get("model.depth") else []
    sizes = as_text(values.get("model.hidden_sizes"))
    parts += [f"hidden sizes {sizes}"] if sizes else []
    parts += ["both directions"] if values.get("model.bidirectional") is True else []
    return ", ".join(part for part in parts if part)


def _joined(values: Mapping[str, Any], group: str, keys: tuple[str, ...]) -> str:
    known = [f"{key} {as_text(values[f'{group}.{key}'])}" for key in keys if values.get(f"{group}.{key}")]
    return " ".join([as_text(values.get(group)), *known])


def _length(run: Run) -> str:
    metrics = run.metrics
    parts = [f"{number(metrics[name])} {name}" for name in ("epochs", "steps", "seconds") if name in metrics]
    parts += [f"best epoch {number(run.best_epoch)}"] if run.best_epoch is not None else []
    return ", ".join(parts)


def _command(folder: Path, environment: Mapping[str, Any]) -> str:
    """Return the command that trains the same again: with the overrides of the job, also one of a multirun or sweep."""
    typed = [str(token) for token in environment.get("command", [])]
    try:
        lines = yaml.load((folder / ".hydra" / "overrides.yaml").read_bytes(), LOADER)  # noqa: S506  (a safe loader)
        overrides = [line for line in map(str, lines) if not line.startswith(NOT_REPEATED)]
    except (OSError, TypeError, yaml.YAMLError):
        return shlex.join(["seqmodels", *typed[1:]])
    places = [place for place, token in enumerate(typed) if token in ("--config-dir", "-cd")]
    return shlex.join(["seqmodels", "train", *(t for place in places for t in typed[place : place + 2]), *overrides])


def _environment(folder: Path) -> dict[str, Any]:
    path = folder / "environment.json"
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _machine(environment: Mapping[str, Any]) -> list[Block]:
    packages = environment.get("packages", {})
    rows = [
        [name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value)]
        for name, value in environment.items()
        if name not in ("packages", "command") and value not in ([], None)
    ]
    rows += [["packages", ", ".join(f"{name} {version}" for name, version in packages.items())]] if packages else []
    return [Table(["", ""], rows, left=2)] if rows else []


def _config(folder: Path) -> list[Block]:
    path = folder / "config.yaml"
    try:
        return [Text(path.read_text(encoding="utf-8"), folded="config.yaml, every key resolved")]
    except (OSError, ValueError):
        return []
