"""Preprocessing of recordings: features at one sample rate, standardised as in training."""

import logging
from abc import ABC
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.audio.datasets import ClassifiedSounds, TranscribedSounds
from seqmodels.data.audio.features import Features
from seqmodels.data.audio.reading import SUFFIXES, mono, read_sound
from seqmodels.data.audio.recordings import SoundFile, sound_files
from seqmodels.data.batch import Spoken
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.suffixes import suffix_of
from seqmodels.data.labelled.targets import TargetFields, field_of
from seqmodels.data.preprocessing import Example, Preprocessing, is_array
from seqmodels.data.sequences import RaggedDataset
from seqmodels.data.series.scaling import Scaling
from seqmodels.data.text.vocabulary import PAD, CharacterVocabulary, Vocabulary, WordVocabulary
from seqmodels.errors import shortened

SHOWN = 3  # files that a message names

log = logging.getLogger("seqmodels")


@dataclass(kw_only=True)
class RecordingPreprocessing(Preprocessing, ABC):
    """The features of a recording, standardised by those of the training data.

    New data are a sound file, a folder of them, or a table with a column of files, whose paths start from the folder of
    the table.

    Args:
        features: computes them, at a known sample rate.
        mean, deviation: per feature, from the training data.
        convert: whether to average channels and resample other rates.
        file: column of the files in a table.
        label: column of the classes or transcripts in a table.
        dialect: how a table of the training was written.
    """

    features: Features
    mean: Sequence[float]
    deviation: Sequence[float]
    convert: bool = True
    file: str = "file"
    label: str = "label"
    dialect: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.deviation) == self.features.size:
            raise ValueError(
                f"mean and deviation must have {self.features.size} values, as there are features, "
                f"got {len(self.mean)} and {len(self.deviation)}"
            )
        self.scaling = Scaling.of(self.mean, self.deviation)
        self._converted = 0  # recordings of new data, to be counted in the log

    def read(self, path: str, format: str | None = None) -> Iterator[Record]:
        """Yield a record for each recording: a sound file, the files below a folder, or the rows of a table.

        The parent folder of a file is its class; that of a file directly in the folder is unknown.
        """
        place = Path(path)
        if path != "-" and place.is_dir():
            for file in sound_files(place):
                known = {self.label: file.parent.name} if file.parent != place else {}
                yield Record(str(file), {self.file: str(file), **known})
        elif format is None and suffix_of(path) in SUFFIXES:
            yield Record(path, {self.file: path})
        else:
            folder = Path() if path == "-" else place.parent
            for record in super().read(path, format):
                given = record.fields.get(self.file, record.fields.get("text"))
                fields = {**record.fields, self.file: str(folder / given)} if isinstance(given, str) else record.fields
                yield record._replace(fields=fields)

    def fields_of(self, value: Any) -> Mapping[str, Any]:
        """Return the fields of a record for the path of a sound, or samples ``(time,)`` at the rate of the features."""
        if isinstance(value, str | PathLike):
            return {self.file: fspath(value)}
        return {"samples": value} if is_array(value) else super().fields_of(value)

    def carried(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: value for name, value in super().carried(fields).items() if name != "samples"}

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the standardised features of the file that a record names, ``(frames, size)``.

        Raises:
            ValueError: there is no such file, or it is no sound, silent, or of another format; the message names it.
        """
        if "samples" in record:
            return self.scaled(self.raw_features(torch.as_tensor(record["samples"], dtype=torch.float32)))
        path = record.get(self.file)
        if not isinstance(path, str) or not path:
            raise ValueError(f"a record must have a field {self.file} with a path, got {', '.join(record) or 'none'}")
        return self.scaled(self.raw_features(self.sound(SoundFile(path))))

    def examples(self, records: Iterable[Record]) -> Iterator[Example]:
        """Yield the examples to predict, in order; after the last, log how many recordings were converted."""
        self._converted = 0
        yield from super().examples(records)
        if self._converted:
            log.info(
                "input: %d recordings have several channels or not %d Hz, and are averaged and resampled",
                self._converted, self.features.rate,
            )  # fmt: skip

    def sound(self, file: SoundFile) -> Tensor:
        """Return the samples of a file at the rate of the features, ``(time,)``."""
        sound, rate = read_sound(file.read(), file.place), self.features.rate
        samples = mono(sound, rate, file.place, convert=self.convert)
        self._converted += sound.sample_rate != rate or sound.samples.shape[1] > 1
        return samples

    def raw_features(self, samples: Tensor) -> Tensor:
        """Return features ``(frames, size)`` of one sound, not standardised."""
        return self.features(samples[None])[0]

    def scaled(self, features: Tensor) -> Tensor:
        """Return features ``(..., size)`` standardised, as float32."""
        return self.scaling.apply(features).float()

    def extract(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the standardised features ``(batch, frames, size)`` of padded sounds, and their lengths."""
        return self.scaled(self.features(samples)), self.features.frames(lengths)

    def _sequences(self, records: Sequence[Record]) -> list[Tensor]:
        sequences = []
        for example in self.examples(records):
            if example.value is None:
                raise ValueError(example.error)
            sequences.append(example.value)
        return sequences


@dataclass(kw_only=True)
class AudioPreprocessing(RecordingPreprocessing):
    """Recordings with classes; options as for all recordings.

    Example:
        >>> from seqmodels.data import LogMel
        >>> fitted = AudioPreprocessing(features=LogMel(sample_rate=8000, bands=2), mean=[0, 0], deviation=[1, 1])
        >>> fitted.node["features"]["bands"]
        2
    """

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> ClassifiedSounds:
        held = list(records)
        targets = TargetFields.of([self.label]).read(held, class_names)
        return ClassifiedSounds(RaggedDataset(self._sequences(held), targets))


@dataclass(kw_only=True)
class SpeechPreprocessing(RecordingPreprocessing):
    """Recordings with transcripts; options as for all recordings.

    Args:
        vocabulary: the units of transcripts; ``<pad>``, which is 0, is the blank of CTC.
        ngram_order: order of a language model over the units; 0: there is none.
        ngram_counts: its counts, of each sequence of units by their numbers separated by spaces.

    Raises:
        ValueError: the units are not characters or words, or ``<pad>`` is not the first.

    Example:
        >>> from seqmodels.data import CharacterVocabulary, LogMel
        >>> units = CharacterVocabulary(["<pad>", "<unk>", "a", "b"])
        >>> options = {"features": LogMel(sample_rate=8000, bands=2), "mean": [0, 0], "deviation": [1, 1]}
        >>> fitted = SpeechPreprocessing(vocabulary=units, **options)
        >>> fitted.tokens("abba", "a.wav"), fitted.written([3, 1, 2])
        (tensor([2, 3, 3, 2]), 'ba')
    """

    vocabulary: Vocabulary
    label: str = "text"
    ngram_order: int = 0
    ngram_counts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.vocabulary, CharacterVocabulary | WordVocabulary) or self.vocabulary.tokens[0] != PAD:
            raise ValueError("units of transcripts are characters or words: vocabulary=character or vocabulary=word")

    def tokens(self, text: str, place: str) -> Tensor:
        """Return the tokens of a transcript.

        Raises:
            ValueError: it has none; the message names the recording.
        """
        tokens = self.vocabulary.encode(text)
        if not tokens:
            raise ValueError(f"{place} has an empty transcript")
        return torch.tensor(tokens)

    def reference(self, text: str) -> str:
        """Return a transcript as the units write it: normalised, and words with a space between."""
        normal = self.vocabulary.normalize(text)
        return " ".join(self.vocabulary.split(text)) if isinstance(self.vocabulary, WordVocabulary) else normal

    def written(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; those of unknown units are left out."""
        return self.vocabulary.decode([token for token in tokens if token != self.vocabulary.unknown])

    def transcribed(
        self, features: Sequence[Tensor], places: Sequence[str], texts: Sequence[str], *, shown: bool
    ) -> TranscribedSounds:
        """Return features and transcripts as a data set; with ``shown``, its batches have the transcripts."""
        targets = [self.tokens(text, place) for text, place in zip(texts, places, strict=True)]
        spoken = [Spoken(place, self.reference(text)) for text, place in zip(texts, places, strict=True)]
        return TranscribedSounds(features, targets, spoken, texts=shown)

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> TranscribedSounds:  # noqa: ARG002
        held = list(records)
        texts = [str(field_of(record, self.label)) for record in held]
        sequences = self._sequences(held)
        dataset = self.transcribed(sequences, [str(record.fields[self.file]) for record in held], texts, shown=True)
        self.report_unknown("input", dataset)
        return dataset

    def report_unknown(self, name: str, split: TranscribedSounds) -> None:
        """Log which transcripts of a split have units that the vocabulary lacks."""
        rows = zip(split.spoken, split.targets, strict=True)
        strange = [row.place for row, tokens in rows if self.vocabulary.unknown in tokens.tolist()]
        if strange:
            log.warning(
                "%s: %d transcripts have units that the vocabulary lacks, which are never recognised: %s",
                name, len(strange), shortened(strange, SHOWN),
            )  # fmt: skip
