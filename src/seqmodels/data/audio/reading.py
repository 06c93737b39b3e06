"""Reading of sound files with soundfile (the extra ``audio``)."""

import io
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.data.audio.resampling import resample

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class Sound(NamedTuple):
    """The samples of a file, as they are stored."""

    samples: Tensor  # (time, channels) float32; full scale is -1 to 1
    sample_rate: int  # in Hz


def read_sound(content: bytes, place: str) -> Sound:
    """Return the sound in the bytes of a WAV, FLAC, Ogg or MP3 file.

    Args:
        content: the bytes.
        place: name of the file in error messages.

    Raises:
        ImportError: soundfile is not installed.
        ValueError: the file is empty, cut off, not a sound file, or has no samples, or one that is not a finite number.
    """
    library = sound_library()
    if not content:
        raise ValueError(f"{place} is an empty file")
    if content[:4] == b"RIFF":
        size = int.from_bytes(content[4:8], "little")
        if len(content) < size + 8 and size < 0xFFFFFF00:  # a recorder that streams writes the largest number
            raise ValueError(f"{place} is cut off: its header says {size + 8} bytes, it has {len(content)}")
    try:
        samples, rate = library.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (library.LibsndfileError, RuntimeError, TypeError) as error:
        reason = getattr(error, "error_string", str(error))
        raise ValueError(f"{place} cannot be read as sound: {reason}") from error
    if len(samples) == 0:
        raise ValueError(f"{place} has no samples")
    sound = Sound(torch.from_numpy(samples), int(rate))
    if not bool(sound.samples.isfinite().all()):
        raise ValueError(f"{place} has samples that are not finite numbers")
    return sound


def mono(sound: Sound, sample_rate: int, place: str, *, convert: bool = True) -> Tensor:
    """Return a sound as one channel of a sample rate, ``(time,)``.

    Args:
        sound: the sound.
        sample_rate: wanted samples per second.
        place: name of the file in error messages.
        convert: whether to average channels, and to resample another rate
            (:func:`~seqmodels.data.audio.resampling.resample`); otherwise both are errors.

    Raises:
        ValueError: the sound is silent: every sample is the same; or without ``convert`` has several channels or
            another rate.

    Example:
        >>> sound = Sound(torch.tensor([[0.5, 0.0], [1.0, 0.5]]), 8000)
        >>> mono(sound, 8000, "a.wav")
        tensor([0.2500, 0.7500])
    """
    channels = sound.samples.shape[1]
    if not convert and channels > 1:
        raise ValueError(f"{place} has {channels} channels, and data.convert=false takes one; true averages them")
    if not convert and sound.sample_rate != sample_rate:
        raise ValueError(
            f"{place} has {sound.sample_rate} Hz, and data.convert=false takes {sample_rate} Hz; true resamples it"
        )
    samples = sound.samples.mean(1)
    if bool((samples == samples[0]).all()):
        raise ValueError(f"{place} is silent: every sample is {float(samples[0]):g}")
    return resample(samples, sound.sample_rate, sample_rate)


def sound_library() -> ModuleType:
    """Return the package soundfile.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import soundfile  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise ImportError("reading sound needs the package soundfile: pip install 'seqmodels[audio]'") from error
    return soundfile
