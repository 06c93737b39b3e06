"""Predict with a trained model for the records of a file, and write a file."""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from omegaconf import DictConfig, OmegaConf

from seqmodels.data.formats.suffixes import format_of
from seqmodels.errors import ConfigError, shortened
from seqmodels.exporting.answers import Answer, lines, write_lines
from seqmodels.exporting.loading import load
from seqmodels.system.durable import durable_file
from seqmodels.system.threads import cpu_threads, threads_for
from seqmodels.training.quiet import quiet
from seqmodels.training.trained import SEARCH

SHOWN = 3  # records that cannot be read and are named in the log

log = logging.getLogger("seqmodels")


def predict(config: DictConfig) -> int:
    """Write the model's predictions for each record of ``config.input``, in order; return the number of records.

    A record that cannot be read gets an empty prediction, and is counted. If there is an error, ``config.output`` is
    not written.

    Raises:
        ConfigError: an option is wrong, the run cannot be read, or its data set cannot read new files.
        ValueError: the file cannot be read, or with ``config.strict`` a record; the message names file, line and field.
    """
    try:
        out_kind = format_of("-.jsonl" if config.output == "-" else config.output, None, "output")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if out_kind == "text":
        raise ConfigError(
            f"output={config.output} must end in .jsonl, .csv, .tsv or .parquet, or be - for lines of JSON"
        )
    keep = kept_columns(config.keep)
    if (
        config.output != "-"
        and Path(config.output).exists()
        and Path(config.output).resolve() == Path(config.input).resolve()
    ):
        raise ConfigError(f"output={config.output} is the input, which would be lost: name another file")
    with quiet():
        model = load(config.run, ckpt=config.ckpt, device=config.accelerator)
        records = model.preprocessing.read(config.input, config.format)
        options = {name: config.get(name) for name in (*SEARCH, "probabilities")}
        found = model.answers(records, batch_size=config.batch_size, **options)
    counts = Counts(strict=config.strict)
    with (
        _output(config.output, binary=out_kind == "parquet") as sink,
        cpu_threads(threads_for(config.threads, model.module, config.batch_size)),
    ):
        write_lines(lines(counts.counted(found), keep, nested=out_kind == "jsonl"), sink, out_kind)
    counts.report()
    return counts.examples


class Counts:
    """Counts examples, and those that cannot be read.

    Args:
        strict: whether the first of these is an error.
    """

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.examples = 0
        self.errors: list[str] = []

    def counted(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """Yield the same answers.

        Raises:
            ValueError: an example cannot be read, and this is an error.
        """
        for answer in answers:
            self.examples += 1
            if answer.example.value is None:
                if self.strict:
                    raise ValueError(answer.example.error)
                self.errors.append(answer.example.error)
            yield answer

    def report(self) -> None:
        """Log how many examples could not be read, and why the first of them."""
        if not self.errors:
            return
        log.warning(
            "%d of %d records cannot be read and have an empty prediction (strict=true makes this an error): %s",
            len(self.errors), self.examples, shortened(self.errors, SHOWN, "; "),
        )  # fmt: skip


def kept_columns(keep: Any) -> list[str] | None:
    """Return the columns that ``keep=`` names, None for all.

    Raises:
        ConfigError: it is neither a name nor a list of names.
    """
    if keep is None:
        return None
    names = OmegaConf.to_container(keep) if OmegaConf.is_config(keep) else [keep]
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise ConfigError(f"keep must be a list of columns, keep=[id,text], or [] for none; got {keep!r}")
    return [str(name) for name in names]


@contextmanager
def _output(path: str, *, binary: bool) -> Iterator[IO[Any]]:
    """Yield the stream for the output, of text unless ``binary``; a file gets its name only when it is complete."""
    if path == "-":
        yield sys.stdout
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(durable_file(Path(path)))
        except OSError as error:
            raise ConfigError(f"output={path} cannot be written: {error.strerror}") from error
        sink: Any = file
        yield sink if binary else stack.enter_context(TextIOWrapper(sink, encoding="utf-8", newline=""))
