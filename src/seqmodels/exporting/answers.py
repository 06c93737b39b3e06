"""Files of predictions: what was read beside what was predicted."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import IO, Any, NamedTuple

from seqmodels.data.formats.parquet import write_parquet
from seqmodels.data.formats.suffixes import Format
from seqmodels.data.preprocessing import Example, without_clashes
from seqmodels.errors import ConfigError
from seqmodels.system.json_text import json_text


class Answer(NamedTuple):
    """An example and its predictions; none if it cannot be read."""

    example: Example
    records: list[dict[str, Any]]


def flatten_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as columns of a table: nested values get dotted names, lists become JSON."""
    row: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            row |= {f"{name}.{key}": inner for key, inner in flatten_record(value).items()}
        else:
            row[name] = json_text(value) if isinstance(value, list) else value
    return row


def lines(answers: Iterable[Answer], keep: Sequence[str] | None, *, nested: bool) -> Iterator[dict[str, Any]]:
    """Yield the lines of an output file: number of the example, the columns carried over, the prediction.

    A column carried over whose name the prediction needs is called ``input.NAME``. An example that cannot be read has
    the keys of the others, with empty values; those before the first prediction are held back until its keys are known.

    Args:
        answers: examples with their predictions.
        keep: columns of the input to carry over; all if None.
        nested: whether a line may hold lines; otherwise it is a row of a table (:func:`flatten_record`).

    Raises:
        ConfigError: ``keep`` names a column that the input does not have.
        ValueError: no example can be read.
    """
    form = dict if nested else flatten_record
    held: list[tuple[int, Example]] = []
    empty: dict[str, Any] | None = None
    for number, (example, records) in enumerate(answers, start=1):
        if keep is not None and not example.error:
            check_kept(keep, example)
        if empty is None and not records:
            held.append((number, example))
            continue
        predictions = [form(record) for record in records]
        if empty is None:
            empty = dict.fromkeys(predictions[0])
            yield from (form(_line(row, past, empty, keep)) for row, past in held)
            held = []
        yield from (form(_line(number, example, prediction, keep)) for prediction in predictions or [empty])
    if held:
        raise ValueError(f"no record can be read: {held[0][1].error}")


def check_kept(keep: Sequence[str], example: Example) -> None:
    """Raise ``ConfigError`` if a column to carry over is not in the input."""
    for name in keep:
        if name not in example.fields:
            known = ", ".join(example.fields) or "none"
            raise ConfigError(
                f"keep: {example.place} has no column {name!r} that its prediction can carry over (there are: {known})"
            )


def _line(row: int, example: Example, prediction: Mapping[str, Any], keep: Sequence[str] | None) -> dict[str, Any]:
    names = example.fields if keep is None else keep
    kept = {name: example.fields.get(name, "") for name in names}
    return {"row": row, **without_clashes(kept, {"row", *prediction}), **prediction}


def write_lines(found: Iterator[dict[str, Any]], sink: IO[Any], kind: Format) -> None:
    """Write lines as JSON to a text file; or those of a table as CSV or TSV, or as Parquet to a binary file."""
    if kind == "jsonl":
        for line in found:
            sink.write(json_text(line) + "\n")
        return
    if kind == "parquet":
        write_parquet(found, sink)
        return
    first = next(found, None)
    if first is None:
        return
    writer = csv.DictWriter(sink, list(first), delimiter="," if kind == "csv" else "\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(chain([first], found))
