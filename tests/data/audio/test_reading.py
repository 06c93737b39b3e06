"""Sound files that cannot be used are refused with a message that names the file."""

import sys
from pathlib import Path

import pytest
import torch

from seqmodels.data.audio.reading import mono, read_sound
from tests.sounds import tone, wav_bytes

WAV = wav_bytes(tone(500))


def test_samples_are_read_as_written() -> None:
    stereo = torch.stack([tone(500), -0.5 * tone(300)], 1)
    sound = read_sound(wav_bytes(stereo, 8000), "a.wav")
    assert sound.sample_rate == 8000
    torch.testing.assert_close(sound.samples, stereo, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.wav is an empty file"),
        (b"no sound at all", "a.wav cannot be read as sound"),
        (WAV[:100], "a.wav is cut off: its header says 844 bytes, it has 100"),
        (WAV[:20], "a.wav is cut off"),
        (wav_bytes(torch.zeros(0)), "a.wav has no samples"),
        (wav_bytes(torch.full((50,), 0.25)), "a.wav is silent: every sample is 0.25"),
    ],
    ids=["empty", "text", "cut off", "cut off in its header", "no samples", "silent"],
)
def test_a_broken_file_is_named(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mono(read_sound(content, "a.wav"), 4000, "a.wav")


def test_other_channels_and_rates_are_converted_or_refused() -> None:
    sound = read_sound(wav_bytes(torch.stack([tone(500), tone(500)], 1), 4000), "a.wav")
    converted = mono(sound, 8000, "a.wav")
    assert converted.shape == (800,)
    torch.testing.assert_close(converted[100:-100], tone(500, rate=8000)[100:-100], rtol=0, atol=5e-3)
    with pytest.raises(ValueError, match=r"a.wav has 2 channels, and data.convert=false takes one"):
        mono(sound, 4000, "a.wav", convert=False)
    with pytest.raises(ValueError, match=r"a.wav has 4000 Hz, and data.convert=false takes 8000 Hz"):
        mono(sound._replace(samples=sound.samples[:, :1]), 8000, "a.wav", convert=False)


def test_a_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ImportError, match=r"pip install 'seqmodels\[audio\]'"):
        read_sound(WAV, "a.wav")
