"""Predict with a trained model for the records of a file."""

import csv
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, Any

import torch
from omegaconf import DictConfig

from seqmodels.data import Preprocessing
from seqmodels.data.formats.records import Format, Record, format_of, read_records
from seqmodels.errors import ConfigError
from seqmodels.system.durable import durable_file
from seqmodels.system.json_text import json_text
from seqmodels.system.threads import cpu_threads, threads_for
from seqmodels.tasks import Task
from seqmodels.training.checkpointing import checkpoint_of, load_trained, preprocessing_of
from seqmodels.training.quiet import quiet


def predict(config: DictConfig) -> int:
    """Write the model's prediction for each record of ``config.input``, in order; return the number of records.

    If a record cannot be read, ``config.output`` is not written.

    Raises:
        ConfigError: an option is wrong, the run cannot be read, or its data set cannot read new files.
        ValueError: a record cannot be read; the message names file, line and field.
    """
    try:
        kind = format_of(config.input, config.format)
        out_kind = format_of("-.jsonl" if config.output == "-" else config.output, None, "output")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if out_kind == "text":
        raise ConfigError(f"output={config.output} must end in .jsonl, .csv or .tsv, or be - for lines of JSON")
    if not isinstance(config.batch_size, int) or config.batch_size < 1:
        raise ConfigError(f"batch_size must be a positive whole number, got {config.batch_size!r}")
    with quiet():
        task, recipe = load_trained(checkpoint_of(config.run, config.ckpt))
        preprocessing = preprocessing_of(recipe)
    with (
        _input(config.input) as source,
        _output(config.output) as sink,
        cpu_threads(threads_for(config.threads, task, config.batch_size)),
    ):
        records = read_records(source, "standard input" if config.input == "-" else config.input, kind)
        rows = predictions(task, preprocessing, records, recipe["class_names"], config.batch_size)
        return _write(rows, sink, out_kind)


def predictions(
    task: Task[Any], preprocessing: Preprocessing, records: Iterator[Record], class_names: list[str], batch_size: int
) -> Iterator[dict[str, Any]]:
    """Yield the predictions for records in their order, computed batch by batch as records arrive."""
    examples = preprocessing.examples(records)
    task.eval()
    with torch.inference_mode():
        while chunk := list(islice(examples, batch_size)):
            yield from task.records(preprocessing.collate(chunk), class_names)


def flatten_record(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as columns of a table: nested values get dotted names, lists become JSON."""
    row: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            row |= {f"{name}.{key}": inner for key, inner in flatten_record(value).items()}
        else:
            row[name] = json_text(value) if isinstance(value, list) else value
    return row


def _write(records: Iterator[dict[str, Any]], sink: IO[str], kind: Format) -> int:
    number = 0
    writer: Any = None
    for number, record in enumerate(records, start=1):
        if kind == "jsonl":
            sink.write(json_text({"row": number, **record}) + "\n")
            continue
        row = flatten_record({"row": number, **record})
        if writer is None:
            writer = csv.DictWriter(sink, list(row), delimiter="," if kind == "csv" else "\t", lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return number


@contextmanager
def _input(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(path).open("rb")  # noqa: SIM115
    except OSError as error:
        raise ConfigError(f"input={path} cannot be read: {error.strerror}") from error
    with source:
        yield source


@contextmanager
def _output(path: str) -> Iterator[IO[str]]:
    """Yield the stream for the output; a file appears under its name only when it is complete."""
    if path == "-":
        yield sys.stdout
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(durable_file(Path(path)))
        except OSError as error:
            raise ConfigError(f"output={path} cannot be written: {error.strerror}") from error
        yield stack.enter_context(TextIOWrapper(file, encoding="utf-8", newline=""))
