"""Prepared recordings: features with classes or transcripts, and optionally the sounds for augmentation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from seqmodels.data.audio.waveform import WaveformAugmentation
from seqmodels.data.batch import SequenceBatch, Spoken, TargetKind, TranscriptBatch
from seqmodels.data.collate import PADDING, pad
from seqmodels.data.loaders import Augmentation, Rows, SequenceLoader
from seqmodels.data.loading import Loading
from seqmodels.data.sequences import RaggedDataset, Sequences


class Sounds(NamedTuple):
    """The sounds of a split; features of training batches are computed from them, changed at random each time."""

    samples: list[Tensor]  # per row (time,)
    sample_rate: int
    changes: tuple[WaveformAugmentation, ...]
    extract: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    """From padded samples and lengths to features ``(batch, frames, size)`` and their lengths."""

    def joined(self, others: "Sequence[Sounds | None]") -> "Sounds":
        """Return the sounds of several splits, one after the other."""
        return self._replace(samples=[row for part in (self, *others) if part is not None for row in part.samples])


class SoundBatch(NamedTuple):
    """A batch with the sounds that its features are to be computed from."""

    samples: Tensor  # (batch, time)
    lengths: Tensor  # (batch,)
    batch: Any


class ChangedSounds(Rows[Any]):
    """Rows whose features are computed from changed sounds, batch by batch."""

    def __init__(self, rows: Rows[Any], sounds: Sounds) -> None:
        self.rows = rows
        self.sounds = sounds
        self.lengths = rows.lengths

    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:
        self.rows.check(name, kind, sizes, loading)

    def joined(self, others: Sequence[Any]) -> "ChangedSounds":
        return ChangedSounds(
            self.rows.joined([other.rows for other in others]), self.sounds.joined([other.sounds for other in others])
        )

    def __getitems__(self, rows: list[int]) -> SoundBatch:
        chosen = [self.sounds.samples[row] for row in rows]
        samples = pad_sequence(chosen, batch_first=True)
        return SoundBatch(samples, torch.tensor([len(row) for row in chosen]), self.rows.__getitems__(rows))

    def loader(
        self, name: str, loading: Loading, *, augment: Augmentation[Any] | None = None, **options: Any
    ) -> SequenceLoader[Any]:
        def changed(batch: SoundBatch, generator: Generator) -> Any:
            samples, lengths = batch.samples, batch.lengths
            for change in self.sounds.changes:
                samples, lengths = change(samples, lengths, generator, self.sounds.sample_rate)
            inputs, frames = self.sounds.extract(samples, lengths)
            features = batch.batch._replace(inputs=inputs, lengths=frames)
            return features if augment is None else augment(features, generator)

        return super().loader(name, loading, augment=changed, **options)


class ClassifiedSounds(Sequences):
    """Features of recordings with a class each.

    Args:
        rows: the features and classes.
        sounds: the recordings themselves, if training batches are computed from changed ones.
    """

    packed = True

    def __init__(self, rows: RaggedDataset, sounds: Sounds | None = None) -> None:
        self.rows = rows
        self.sounds = sounds
        self.values, self.targets, self.lengths = rows.values, rows.targets, rows.lengths

    def joined(self, others: Sequence["ClassifiedSounds"]) -> "ClassifiedSounds":
        sounds = None if self.sounds is None else self.sounds.joined([other.sounds for other in others])
        return ClassifiedSounds(self.rows.joined([other.rows for other in others]), sounds)

    def __getitems__(self, rows: list[int]) -> SequenceBatch:
        return self.rows.__getitems__(rows)

    def loader(self, name: str, loading: Loading, **options: Any) -> SequenceLoader[SequenceBatch]:
        if name == "train" and self.sounds is not None:
            return ChangedSounds(self, self.sounds).loader(name, loading, **options)
        return super().loader(name, loading, **options)


class TranscribedSounds(Rows[TranscriptBatch]):
    """Features of recordings with the tokens of a transcript each.

    Args:
        features: per row ``(frames, size)``.
        targets: per row its tokens, int64.
        spoken: per row the name of the recording, and its transcript.
        texts: whether batches have the transcripts, which metrics of the output are computed from.
        sounds: the recordings themselves, if training batches are computed from changed ones.
    """

    def __init__(
        self,
        features: Sequence[Tensor],
        targets: Sequence[Tensor],
        spoken: Sequence[Spoken],
        *,
        texts: bool,
        sounds: Sounds | None = None,
    ) -> None:
        self.features = list(features)
        self.targets = list(targets)
        self.spoken = [each._replace(row=row) for row, each in enumerate(spoken)]
        self.texts = texts
        self.sounds = sounds
        self.lengths = torch.tensor([len(row) for row in self.features], dtype=torch.long)

    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:  # noqa: ARG002
        if len(self) == 0:
            raise ValueError(f"the {name} split is empty")
        most = int(sizes["output_size"]) - 1
        for row, target, (place, *_) in zip(self.features, self.targets, self.spoken, strict=True):
            if len(target) == 0:
                raise ValueError(f"the {name} split: {place} has an empty transcript")
            if int(target.min()) < 1 or int(target.max()) > most:
                wrong = target[(target < 1) | (target > most)][0]
                raise ValueError(
                    f"the {name} split: {place}: a token must be 1 to {most}, as 0 is the blank; got {int(wrong)}"
                )
            if not bool(row.isfinite().all()):
                raise ValueError(f"the {name} split: {place}: a feature is not finite")
        if name == "train":
            loading.check_rows(len(self))

    def joined(self, others: Sequence["TranscribedSounds"]) -> "TranscribedSounds":
        parts = [self, *others]
        return TranscribedSounds(
            [row for part in parts for row in part.features],
            [row for part in parts for row in part.targets],
            [row for part in parts for row in part.spoken],
            texts=self.texts,
            sounds=None if self.sounds is None else self.sounds.joined([other.sounds for other in others]),
        )

    def __getitems__(self, rows: list[int]) -> TranscriptBatch:
        inputs, lengths = pad([self.features[row] for row in rows])
        targets = [self.targets[row] for row in rows]
        padded = pad_sequence(targets, batch_first=True, padding_value=PADDING)
        spoken = [self.spoken[row] for row in rows] if self.texts else []
        return TranscriptBatch(inputs, lengths, padded, torch.tensor([len(target) for target in targets]), spoken)

    def loader(self, name: str, loading: Loading, **options: Any) -> SequenceLoader[TranscriptBatch]:
        if name == "train" and self.sounds is not None:
            return ChangedSounds(self, self.sounds).loader(name, loading, **options)
        return super().loader(name, loading, **options)
