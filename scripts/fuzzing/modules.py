"""Whole data modules on damaged files of a user's own: what a training run would begin with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzzing.files import DATED, TABLE
from fuzzing.judging import NAME, Reader
from seqmodels.config.build import build
from seqmodels.data import DataModule

TEXTS = b"text,label\n" + b"".join(b"word %d is here,%s\n" % (row, b"ab"[row % 2 : row % 2 + 1]) for row in range(40))
STEPS = b"day,a,b\n" + b"".join(b"2020-01-%02d,%d,%d.5\n" % (day, day % 3, day) for day in range(1, 29))
CASES = b"@univariate true\n@classLabel true a b\n@data\n" + b"".join(
    b"1.0,%d,3:%s\n" % (row, b"ab"[row % 2 : row % 2 + 1]) for row in range(12)
)
ROLLS = b'{"train": [[[60], [62]], [[64, 67], []]], "valid": [[[60], [61]]], "test": [[[60], [99]]]}'
LINES = b"".join(b"line %d of a text that is parted\n" % row for row in range(40))


def set_up(node: dict[str, Any], path: Path) -> Callable[[bytes], Any]:
    """Return a reader that writes a file, sets a module up, and takes a batch."""

    def read(content: bytes) -> Any:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        data: DataModule = build(node)
        data.prepare_data()
        data.setup("fit")
        data.setup("test")
        batch = next(iter(data.train_dataloader()))
        next(iter(data.test_dataloader()))
        return batch.inputs, data.sizes.get("vocab_size")

    return read


def usable(found: tuple[Any, int | None]) -> str | None:
    """Say that a batch has numbers or tokens that are none."""
    inputs, vocab_size = found
    if inputs.is_floating_point():
        return None if inputs.isfinite().all() else "a batch is not finite"
    return None if vocab_size is not None and 0 <= int(inputs.min()) <= int(inputs.max()) < vocab_size else "tokens"


def placed(content: bytes, message: str) -> bool:  # noqa: ARG001
    """Tell whether a message says which file, split or texts are meant."""
    return NAME in message or " split" in message or "training texts" in message


def module_readers(folder: Path) -> list[Reader]:
    """Return whole data modules as readers of one file."""
    table, series, rolls = folder / f"{NAME}.csv", folder / f"{NAME}-series.csv", folder / f"{NAME}.json"
    lines = folder / f"{NAME}-text.txt"
    archive = folder / "ucr-uea" / NAME
    archive.mkdir(parents=True)
    (archive / f"{NAME}_TEST.ts").write_bytes(CASES)
    cases = archive / f"{NAME}_TRAIN.ts"

    def module(name: str, kind: str, path: Path, seeds: list[bytes], /, **options: Any) -> Reader:
        node = {"_target_": f"seqmodels.data.{kind}", **options}
        return Reader(f"data={name}", set_up(node, path), seeds, sound=usable, named=placed, share=20)

    words, characters = ({"_target_": f"seqmodels.data.{kind}Learner"} for kind in ("Word", "Character"))
    steps = {"input_length": 3, "horizon": 2, "time": "day", "target": "a", "features": ["b"], "impute": "linear"}
    windows = {"batch_size": 2, "bptt": 5, "cache_dir": str(folder / "tokens")}
    tables = [TEXTS, TEXTS.replace(b"label", b"n,label").replace(b",", b",7,")]
    days = [STEPS, STEPS.replace(b"2020-01-", b"2020-01-05T").replace(b",", b":00,", 1)]
    own = {"data_dir": str(folder), "name": NAME, "missing": "interpolate", "batch_size": 3}
    return [
        module("text_csv", "TextCSVData", table, tables, path=str(table), vocabulary=words, batch_size=3),
        module("csv_series", "CSVSeriesData", series, days, path=str(series), **steps),
        module("ucr_uea", "UCRUEAData", cases, [CASES], **own),
        module("jsb_chorales", "JSBChoralesData", rolls, [ROLLS], data_dir=str(folder), path=str(rolls), batch_size=1),
        module(
            "text", "TextData", lines, [LINES, TABLE * 9, DATED * 9], path=str(lines), vocabulary=characters, **windows
        ),
    ]
