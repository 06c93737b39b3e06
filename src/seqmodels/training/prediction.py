"""Predict with a trained model for the records of a file."""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, Any

import torch
from omegaconf import DictConfig, OmegaConf

from seqmodels.config.signatures import check_signature
from seqmodels.data import Preprocessing
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.suffixes import format_of
from seqmodels.errors import ConfigError, shortened
from seqmodels.system.devices import device_of
from seqmodels.system.durable import durable_file
from seqmodels.system.threads import cpu_threads, threads_for
from seqmodels.tasks import CTC, Seq2Seq, Tagging, Task
from seqmodels.training.answers import Answer, lines, write_lines
from seqmodels.training.checkpointing import load_trained, preprocessing_of
from seqmodels.training.finding import weights_of
from seqmodels.training.quiet import quiet

SEARCH = ("beam", "n_best", "length_penalty", "coverage_penalty", "max_length")  # options of searches
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
    if not isinstance(config.batch_size, int) or config.batch_size < 1:
        raise ConfigError(f"batch_size must be a positive whole number, got {config.batch_size!r}")
    keep = kept_columns(config.keep)
    if (
        config.output != "-"
        and Path(config.output).exists()
        and Path(config.output).resolve() == Path(config.input).resolve()
    ):
        raise ConfigError(f"output={config.output} is the input, which would be lost: name another file")
    with quiet():
        task, recipe = load_trained(weights_of(config.run, config.ckpt))
        preprocessing = preprocessing_of(recipe)
        set_search(task, config)
        set_probabilities(task, config.get("probabilities", False))
        task.to(device_of(config.accelerator))
    records = preprocessing.read(config.input, config.format)
    counts = Counts(strict=config.strict)
    with (
        _output(config.output, binary=out_kind == "parquet") as sink,
        cpu_threads(threads_for(config.threads, task, config.batch_size)),
    ):
        found = predictions(task, preprocessing, records, recipe["class_names"], config.batch_size)
        write_lines(lines(counts.counted(found), keep, nested=out_kind == "jsonl"), sink, out_kind)
    counts.report()
    return counts.examples


def predictions(
    task: Task[Any],
    preprocessing: Preprocessing,
    records: Iterable[Record],
    class_names: Sequence[str],
    batch_size: int,
) -> Iterator[Answer]:
    """Yield the predictions for records in their order, computed batch by batch as records arrive."""
    examples = preprocessing.examples(records)
    task.eval()
    with torch.inference_mode():
        while chunk := list(islice(examples, batch_size)):
            values = [example.value for example in chunk if example.value is not None]
            found: Iterator[list[dict[str, Any]]] = iter(())
            if values:
                batch = task.transfer_batch_to_device(preprocessing.collate(values), task.device, 0)
                found = iter(task.records(batch, class_names))
            yield from (Answer(example, next(found) if example.value is not None else []) for example in chunk)


def set_search(task: Task[Any], config: DictConfig) -> None:
    """Set how a task searches for outputs to what ``beam=``, ``n_best=`` and the like say, where they are not null.

    Raises:
        ConfigError: the task does not search for outputs, or an option is outside its range.
    """
    given = {option: config[option] for option in SEARCH if config.get(option) is not None}
    if not given:
        return
    if not isinstance(task, Seq2Seq | CTC):
        raise ConfigError(f"{next(iter(given))}= is for models that write texts (task=seq2seq, ctc), not for this one")
    if "n_best" in given and "beam" not in given:
        given["beam"] = max(given["n_best"], task.search.beam)
    check_signature(type(task.search), {"_target_": "the search of the model", **given}, "", {})
    try:
        task.search = replace(task.search, **given)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def set_probabilities(task: Task[Any], wanted: Any) -> None:
    """Make a tagger write the probabilities of tags, if they are wanted.

    Raises:
        ConfigError: ``wanted`` is neither true nor false, or the task is another.
    """
    if not isinstance(wanted, bool):
        raise ConfigError(f"probabilities must be true or false, got {wanted!r}")
    if wanted and not isinstance(task, Tagging):
        raise ConfigError("probabilities= is for taggers (task=tagging); classifiers write them anyway")
    if isinstance(task, Tagging):
        task.probabilities = wanted


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
