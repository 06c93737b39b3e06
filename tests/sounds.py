"""Small sound files."""

import io
import struct
import wave
from pathlib import Path

import torch
from torch import Tensor

RATE = 4000


def tone(frequency: float, seconds: float = 0.1, rate: int = RATE) -> Tensor:
    """Return a sine ``(time,)`` of half the full scale."""
    return 0.5 * torch.sin(2 * torch.pi * frequency * torch.arange(round(seconds * rate)) / rate)


def wav_bytes(samples: Tensor, rate: int = RATE) -> bytes:
    """Return ``(time,)`` or ``(time, channels)`` as a WAV file of 16 bits."""
    table = samples if samples.dim() == 2 else samples[:, None]
    numbers = (table * 32767).round().short().flatten().tolist()
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(table.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(struct.pack(f"<{len(numbers)}h", *numbers))
    return file.getvalue()


def write_wav(path: Path, samples: Tensor, rate: int = RATE) -> Path:
    """Write a WAV file, and the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(samples, rate))
    return path
