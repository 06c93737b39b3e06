"""From the JSON or the recording of a request to the examples that a model reads."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from seqmodels.data import Preprocessing
from seqmodels.data.audio.preprocessing import RecordingPreprocessing
from seqmodels.data.audio.reading import sound_library
from seqmodels.data.audio.recordings import SoundFile
from seqmodels.data.formats.parquet import as_written
from seqmodels.data.formats.records import Record
from seqmodels.data.preprocessing import Example
from seqmodels.exporting.inputs import records_of
from seqmodels.serving.bodies import named
from seqmodels.serving.limits import Limits
from seqmodels.serving.problems import Problem

INPUTS = ("inputs", "rows")  # keys of a request, of which it has one
RATES = range(1_000, 400_000)  # Hz; resampling from a lower rate would multiply what a client sent
DENSEST = 400_000  # samples per second in all channels: a small FLAC file can hold hours of silence in eight channels


class Inputs(NamedTuple):
    """What a request wants predictions for: one of the three."""

    values: Sequence[Any] | None = None
    """Texts, arrays as nested lists, or records."""
    rows: Sequence[Mapping[str, Any]] | None = None
    """The rows of one table."""
    recording: bytes | None = None
    """The bytes of a sound file."""

    @property
    def weight(self) -> int:
        """How many inputs these are."""
        return max(len(self.values or self.rows or ()), 1)


def inputs_of(content: Mapping[str, Any], limits: Limits) -> Inputs:
    """Return the inputs in the body of a request.

    Raises:
        Problem: there are none or too many, or they are no lists (422).
    """
    given = [name for name in INPUTS if name in content]
    if len(given) != 1:
        raise Problem(422, "the body must have inputs, a list of texts, arrays or records; or rows, those of a table")
    values = content[given[0]]
    if not isinstance(values, list) or not 1 <= len(values) <= limits.inputs:
        what = f"{len(values)}" if isinstance(values, list) else named(values)
        raise Problem(422, f"{given[0]} must be a list of 1 to {limits.inputs}, got {what}")
    if given == ["inputs"]:
        return Inputs(values=values)
    for number, row in enumerate(values, start=1):
        if not isinstance(row, dict):
            raise Problem(422, f"row {number} must be an object with the columns of a table, got {named(row)}")
    return Inputs(rows=values)


def examples_of(inputs: Inputs, preprocessing: Preprocessing, limits: Limits) -> list[Example]:
    """Return the examples that a model reads.

    Raises:
        Problem: an input cannot be read, is too long, or names a file of the server (422); the message has its place.
    """
    try:
        examples = list(preprocessing.examples(_records(inputs, preprocessing, limits)))
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise Problem(422, _line(error)) from error
    for example in examples:
        if example.value is None:
            raise Problem(422, example.error)
        if (steps := steps_of(example.value)) > limits.length:
            raise Problem(422, f"{example.place} has {steps} steps, the server reads at most {limits.length}")
    if not examples:
        raise Problem(422, "there is nothing to predict in the inputs")
    return examples


def steps_of(value: Any) -> int:
    """Return the number of steps of what a network reads, the longest of its parts.

    Example:
        >>> import torch
        >>> steps_of(torch.zeros(7, 2)), steps_of((torch.zeros(3), [1, 2, 3, 4]))
        (7, 4)
    """
    if isinstance(value, Tensor):
        return len(value) if value.dim() else 0
    if isinstance(value, tuple):
        return max((steps_of(part) for part in value), default=0)
    return len(value) if isinstance(value, list) else 0


def _records(inputs: Inputs, preprocessing: Preprocessing, limits: Limits) -> Any:
    if inputs.recording is not None:
        return iter([Record("the recording", {"samples": _samples(inputs.recording, preprocessing, limits)})])
    if inputs.rows is not None:
        rows = [{name: as_written(cell) for name, cell in row.items()} for row in inputs.rows]
        _refuse_files(rows, preprocessing, "row")
        return preprocessing.of_rows(Record(f"row {number}", row) for number, row in enumerate(rows, start=1))
    _refuse_files(inputs.values or (), preprocessing, "item")
    return records_of(inputs.values, preprocessing)


def _refuse_files(values: Sequence[Any], preprocessing: Preprocessing, kind: str) -> None:
    """Refuse what the preprocessing of recordings would take for the path of a file: it would be one of the server."""
    if not isinstance(preprocessing, RecordingPreprocessing):
        return
    rate = preprocessing.features.rate
    for number, value in enumerate(values, start=1):
        if not isinstance(value, list) or not all(type(sample) in (int, float) for sample in value):
            raise Problem(422, f"{kind} {number} must be a list of samples at {rate} Hz; or upload a sound file")


def _samples(content: bytes, preprocessing: Preprocessing, limits: Limits) -> Tensor:
    if not isinstance(preprocessing, RecordingPreprocessing):
        raise Problem(415, "the model reads no recordings: send JSON, as application/json")
    try:
        library = sound_library()
    except ImportError as error:
        raise Problem(415, f"send the samples in JSON: {error}") from error
    try:
        info = library.info(io.BytesIO(content))
    except (library.LibsndfileError, RuntimeError, TypeError) as error:
        why = getattr(error, "error_string", "") or _line(error)  # the message itself has the address of an object
        raise Problem(422, f"the recording cannot be read as sound: {why}") from error
    rate, channels = info.samplerate, info.channels
    if rate not in RATES or rate * channels > DENSEST or info.frames > limits.audio_seconds * rate:
        raise Problem(
            422,
            f"a recording must have at most {limits.audio_seconds:g} seconds at {RATES.start} to {RATES.stop} Hz, and "
            f"{DENSEST} samples per second in all channels; got {info.frames / max(rate, 1):.1f} seconds at {rate} Hz "
            f"in {channels} channels",
        )
    return preprocessing.sound(SoundFile("the recording", content))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
