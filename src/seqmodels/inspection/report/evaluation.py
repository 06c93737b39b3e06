"""The report of an evaluation: how a finished run did on data that it was tested on later."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from seqmodels.inspection.report.blocks import Block, Page, Section, Table
from seqmodels.inspection.report.metrics import metric_table, tiles
from seqmodels.inspection.report.page import write_page
from seqmodels.inspection.report.single import REPORT, tested
from seqmodels.inspection.report.training import time_and_memory
from seqmodels.training.records.reading import read_run
from seqmodels.training.records.record import read_record


def write_evaluation(folder: Path, about: Mapping[str, str]) -> Path:
    """Write the report of an evaluation into its folder and return its path.

    Args:
        folder: with ``metrics.json`` and, except of a backtest, ``record.json``.
        about: what was tested on what, by name; empty values are left out.

    Raises:
        ConfigError: a file of the evaluation is damaged.
        OSError: the report cannot be written.
    """
    path = folder / REPORT
    write_page(path, evaluation_page(folder, about))
    return path


def evaluation_page(folder: Path, about: Mapping[str, str]) -> Page:
    """Return the report of an evaluation as a page; see :func:`write_evaluation`."""
    run, record = read_run(folder), read_record(folder)
    table = metric_table(run.metrics, "this test")
    made: list[tuple[str, list[Block]]] = [
        ("What was tested", [Table(["", ""], [[name, value] for name, value in about.items() if value], left=2)]),
        ("Metrics", [table] if table is not None else []),
        *tested(folder, record),
        ("Time and memory", time_and_memory(record, {})),
    ]
    ended = datetime.fromtimestamp(run.changed, UTC).strftime("%Y-%m-%d %H:%M UTC")
    sections = [Section(title, blocks) for title, blocks in made if blocks]
    return Page(f"Evaluation of {Path(about['run']).name}", ended, tiles(run), sections)
