"""Recordings as features, with classes or with the tokens of transcripts."""

import hashlib
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from seqmodels.data.audio.cache import Extracted, cached
from seqmodels.data.audio.datasets import ClassifiedSounds, Sounds
from seqmodels.data.audio.features import Features, LogMel
from seqmodels.data.audio.preprocessing import SHOWN, AudioPreprocessing, RecordingPreprocessing, SpeechPreprocessing
from seqmodels.data.audio.reading import mono, read_sound
from seqmodels.data.audio.recordings import Recordings, SoundFile
from seqmodels.data.audio.waveform import WaveformAugmentation
from seqmodels.data.labelled.targets import class_names_of, class_targets
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import Splits
from seqmodels.data.sequences import RaggedDataset
from seqmodels.data.series.scaling import fit_scaling
from seqmodels.data.text.vocabulary_learning import VocabularyLearner
from seqmodels.errors import extent, shortened

log = logging.getLogger("seqmodels")
Unusable = Literal["error", "drop"]


class Part(NamedTuple):
    """A split after its recordings were read."""

    recordings: Recordings  # those that can be used
    features: list[Tensor]  # (frames, size), not standardised
    dropped: int


@dataclass(kw_only=True)
class RecordingPreparation(Preparation, ABC):
    """Features of recordings, standardised by those of the train split, and kept on disk.

    Args:
        features: computes them; without a ``sample_rate``, it is that of the first training recording.
        waveform: changes training recordings before their features are computed, in order; the features of training
            batches are then recomputed in every epoch.
        convert: average several channels, and resample other rates; otherwise such a recording is an error.
        unusable: whether a recording that cannot be read, has no samples or is silent is an error (``error``), or
            dropped and counted (``drop``).
        standardize: whether to standardise each feature by its mean and deviation over all training frames.
        cache_dir: folder in which features are kept; the user's cache folder by default.
    """

    features: Features = field(default_factory=LogMel)
    waveform: Mapping[str, WaveformAugmentation] = field(default_factory=dict)
    convert: bool = True
    unusable: Unusable = "error"
    standardize: bool = True
    cache_dir: str | Path | None = None

    def __post_init__(self) -> None:
        if self.unusable not in get_args(Unusable):
            raise ValueError(f"unusable must be one of {', '.join(get_args(Unusable))}, got {self.unusable!r}")

    @abstractmethod
    def finish(self, parts: Splits[Part], fitted: Mapping[str, Any]) -> Prepared:
        """Return the prepared splits, given the fields that every preprocessing has."""

    def prepare(self, splits: Splits[Recordings]) -> Prepared:
        train = splits.train
        if not train.files:
            raise ValueError("the train split is empty")
        features = self.features if self.features.sample_rate is not None else self.features.at(_rate(train.files))
        unscaled = AudioPreprocessing(
            features=features, mean=[0.0] * features.size, deviation=[1.0] * features.size, convert=self.convert
        )
        parts = {
            name: self._part(name, recordings, unscaled)
            for name, recordings in splits._asdict().items()
            if recordings is not None
        }
        scaling = fit_scaling(torch.cat(parts["train"].features), standardize=self.standardize)
        fitted = {
            "features": features,
            "mean": scaling.mean.tolist(),
            "deviation": scaling.deviation.tolist(),
            "convert": self.convert,
            "file": train.file,
            "label": train.label,
        }
        return self.finish(Splits(**parts), fitted)

    def sounds(self, part: Part, fitted: RecordingPreprocessing) -> Sounds | None:
        """Return the sounds of a split, if training changes them."""
        if not self.waveform:
            return None
        samples = [fitted.sound(file) for file in part.recordings.files]
        return Sounds(samples, fitted.features.rate, tuple(self.waveform.values()), fitted.extract)

    def _part(self, name: str, recordings: Recordings, unscaled: AudioPreprocessing) -> Part:
        if not recordings.files:
            raise ValueError(f"the {name} split is empty")
        files, digests, missing = [], [], []
        for file in recordings.files:
            try:
                digests.append(hashlib.sha256(file.read()).digest())
                files.append(file)
            except ValueError as error:
                missing.append(str(error))
        made = {"features": unscaled.features.node, "convert": self.convert}
        found = Extracted([])
        if files:
            found = cached(digests, made, lambda: extracted(files, unscaled), self.cache_dir)
        empty = [number for number, features in enumerate(found.features) if not len(features)]
        errors = [*missing, *(_refusal(files[number], unscaled) for number in empty)]
        if errors and self.unusable == "error":
            more = f" ({len(errors)} such recordings in all)" if len(errors) > 1 else ""
            raise ValueError(f"the {name} split: {errors[0]}{more}; data.unusable=drop leaves such recordings out")
        if errors:
            log.warning("%s: %d recordings are left out: %s", name, len(errors), shortened(errors, SHOWN, "; "))
        if len(errors) == len(recordings.files):
            raise ValueError(f"the {name} split is empty: none of its recordings can be used")
        places = {file.place for file, row in zip(files, found.features, strict=True) if len(row)}
        kept = recordings.take([row for row, file in enumerate(recordings.files) if file.place in places])
        rows = [row for row in found.features if len(row)]
        log.info("%s: %d recordings of %s frames", name, len(rows), extent(len(row) for row in rows))
        if found.converted:
            log.info(
                "%s: %d recordings have several channels or not %d Hz, and are averaged and resampled",
                name, found.converted, unscaled.features.rate,
            )  # fmt: skip
        return Part(kept, rows, len(errors))


@dataclass(kw_only=True)
class AudioPreparation(RecordingPreparation):
    """Recordings with a class each; options as for all recordings."""

    def finish(self, parts: Splits[Part], fitted: Mapping[str, Any]) -> Prepared:
        names = class_names_of(parts.train.recordings.labels)
        preprocessing = AudioPreprocessing(**fitted)

        def dataset(part: Part) -> ClassifiedSounds:
            labels, places = part.recordings.labels, [file.place for file in part.recordings.files]
            rows = [preprocessing.scaled(row) for row in part.features]
            return ClassifiedSounds(
                RaggedDataset(rows, class_targets(labels, places, names)), self.sounds(part, preprocessing)
            )

        sizes = {"input_size": preprocessing.features.size, "output_size": len(names)}
        return Prepared(parts.map(dataset), sizes, preprocessing.node, names, _counts(parts))


@dataclass(kw_only=True)
class SpeechPreparation(RecordingPreparation):
    """Recordings with a transcript each, for CTC; options as for all recordings.

    Args:
        vocabulary: learns the units from the training transcripts: characters, or words, which may be phonemes.
        ngram: order of a language model over the units, counted in the training transcripts, for beam search; 0: none.

    Raises:
        ValueError: ``ngram`` is negative.
    """

    vocabulary: VocabularyLearner
    ngram: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ngram < 0:
            raise ValueError(f"ngram must not be negative, got {self.ngram}")

    def finish(self, parts: Splits[Part], fitted: Mapping[str, Any]) -> Prepared:
        texts = parts.train.recordings.labels
        vocabulary = self.vocabulary.learn(texts)
        counts = ngram_counts([vocabulary.encode(text) for text in texts], self.ngram)
        options: dict[str, Any] = {"vocabulary": vocabulary, "ngram_order": self.ngram, "ngram_counts": counts}
        preprocessing = SpeechPreprocessing(**fitted, **options)
        log.info("vocabulary: %s", vocabulary)
        datasets = {}
        for name, part in parts._asdict().items():
            if part is None:
                continue
            places = [file.place for file in part.recordings.files]
            rows = [preprocessing.scaled(row) for row in part.features]
            datasets[name] = preprocessing.transcribed(rows, places, part.recordings.labels, shown=name != "train")
            datasets[name].sounds = self.sounds(part, preprocessing)
            preprocessing.report_unknown(name, datasets[name])
        sizes = {"input_size": preprocessing.features.size, "output_size": len(vocabulary)}
        return Prepared(Splits(**datasets), sizes, preprocessing.node, (), _counts(parts))


def extracted(files: Sequence[SoundFile], unscaled: AudioPreprocessing) -> Extracted:
    """Return the features of recordings."""
    features, converted = [], 0
    for file in files:
        try:
            one, was_converted = _features(file, unscaled)
        except ValueError:
            one, was_converted = torch.zeros(0, unscaled.features.size), False
        features.append(one)
        converted += was_converted
    return Extracted(features, converted)


def _features(file: SoundFile, unscaled: AudioPreprocessing) -> tuple[Tensor, bool]:
    """Return the features of a recording, and whether it was converted.

    Raises:
        ValueError: it cannot be used.
    """
    sound, rate = read_sound(file.read(), file.place), unscaled.features.rate
    samples = mono(sound, rate, file.place, convert=unscaled.convert)
    return unscaled.raw_features(samples), sound.sample_rate != rate or sound.samples.shape[1] > 1


def _refusal(file: SoundFile, unscaled: AudioPreprocessing) -> str:
    """Return why a recording cannot be used: not kept with the features, as its name may have changed since."""
    try:
        _features(file, unscaled)
    except ValueError as error:
        return str(error)
    return f"{file.place} has no frames"


def ngram_counts(rows: Sequence[Sequence[int]], order: int) -> dict[str, int]:
    """Return how often each sequence of up to ``order`` tokens occurs, by the tokens separated by spaces.

    Example:
        >>> ngram_counts([[2, 3, 2]], 2)
        {'2': 2, '2 3': 1, '3': 1, '3 2': 1}
    """
    counts: Counter[str] = Counter()
    for tokens in rows:
        for first in range(len(tokens)):
            for size in range(1, min(order, len(tokens) - first) + 1):
                counts[" ".join(map(str, tokens[first : first + size]))] += 1
    return dict(counts)


def _rate(files: Sequence[SoundFile]) -> int:
    """Return the sample rate of the first file that can be read.

    Raises:
        ValueError: none can.
    """
    first_error: ValueError | None = None
    for file in files:
        try:
            return read_sound(file.read(), file.place).sample_rate
        except ValueError as error:
            first_error = first_error or error
    assert first_error is not None
    raise first_error


def _counts(parts: Splits[Part]) -> dict[str, Any]:
    return {name: {"dropped": part.dropped} for name, part in parts._asdict().items() if part is not None}
