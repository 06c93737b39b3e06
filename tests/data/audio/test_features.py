"""Features and resampling equal those of torchaudio; a sound has the same features alone and in a batch."""

import pytest
import torch
from torch import Tensor

from seqmodels.data import MFCC, LogMel
from seqmodels.data.audio.features import Features, mel_filters, power_spectrum
from seqmodels.data.audio.resampling import resample
from tests.conftest import TOLERANCE
from tests.sounds import tone

KINDS: list[Features] = [LogMel(sample_rate=4000, bands=9), MFCC(sample_rate=4000, bands=9, coefficients=5)]


def chirp() -> Tensor:
    """The sound of the reference values: 2000 samples at 8000 Hz, a rising tone and a little noise."""
    n = torch.arange(2000, dtype=torch.float64)
    return (0.5 * torch.sin(2 * torch.pi * (200 + 0.4 * n) * n / 8000) + 0.01 * torch.cos(n * n)).float()


# torchaudio 2.11.0: (MelSpectrogram(8000, n_fft=256, win_length=200, hop_length=80, f_min=20.0, n_mels=40,
# pad_mode="constant")(chirp()) + 1e-6).log().T[frame, ::8], and MFCC(8000, n_mfcc=13, log_mels=True,
# melkwargs=the same)(chirp()).T[frame, ::3]. All 26 frames differed by at most 2e-5 when they were computed.
REFERENCE = {
    0: ([2.6191, 0.9798, -2.5792, -4.2626, -5.0814], [-13.3427, 2.004, -1.4834, -1.7521, -1.0954]),
    7: ([-8.5343, -5.6818, -2.7682, -3.8962, -5.2608], [-22.7114, -12.9495, 8.4006, -6.493, 1.2436]),
    25: ([-2.3371, -1.9883, -1.2213, 1.9743, -0.2215], [-2.42, 6.1082, 3.4236, 1.9368, 1.5617]),
}
# torchaudio 2.11.0: functional.resample(chirp(), rate, wanted)[500:900:97], and the number of samples
RESAMPLED = {
    (8000, 16000): (4000, [0.35759, -0.26119, -0.47476, -0.47104, -0.12924]),
    (16000, 8000): (1000, [0.00332, 0.37668, 0.09123, -0.45889, 0.28978]),
    (44100, 16000): (726, [0.19036, -0.01293, -0.02826]),
    (9, 10): (2223, [0.36049, -0.37826, 0.35229, 0.37491, -0.25427]),
}


@pytest.mark.parametrize("frame", REFERENCE)
def test_features_equal_those_of_torchaudio(frame: int) -> None:
    energies, coefficients = REFERENCE[frame]
    found = LogMel(sample_rate=8000)(chirp()[None])[0]
    assert found.shape == (26, 40)
    torch.testing.assert_close(found[frame, ::8], torch.tensor(energies), rtol=0, atol=2e-4)
    found = MFCC(sample_rate=8000)(chirp()[None])[0]
    torch.testing.assert_close(found[frame, ::3], torch.tensor(coefficients), rtol=0, atol=2e-4)


@pytest.mark.parametrize(("rate", "wanted"), RESAMPLED)
def test_resampling_equals_that_of_torchaudio(rate: int, wanted: int) -> None:
    number, values = RESAMPLED[rate, wanted]
    found = resample(chirp(), rate, wanted)
    assert len(found) == number
    torch.testing.assert_close(found[500:900:97], torch.tensor(values), rtol=0, atol=2e-5)


def test_resampling_keeps_what_both_rates_can_represent_and_drops_the_rest() -> None:
    low, high = (resample(tone(frequency, rate=8000), 8000, 4000) for frequency in (300, 3000))
    torch.testing.assert_close(low[50:-50], tone(300, rate=4000)[50:-50], rtol=0, atol=5e-3)
    assert float(high[50:-50].abs().max()) < 0.01


@pytest.mark.parametrize("features", KINDS, ids=lambda features: type(features).__name__)
def test_a_sound_has_the_same_features_alone_and_padded_in_a_batch(features: Features) -> None:
    sounds = [tone(500, 0.13), tone(900, 0.05), tone(300, 0.002)]
    batch = torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True)
    together, frames = features(batch), features.frames(torch.tensor([len(sound) for sound in sounds]))
    for row, (sound, length) in enumerate(zip(sounds, frames.tolist(), strict=True)):
        alone = features(sound[None])[0]
        assert alone.shape == (length, features.size)
        torch.testing.assert_close(together[row, :length], alone, **TOLERANCE[torch.float32])


def test_a_tone_has_its_power_at_its_frequency() -> None:
    power = power_spectrum(tone(1000, 0.2, 8000)[None], fft=256, window=200, hop=80)[0]
    assert power.mean(0).argmax() == 1000 * 256 // 8000
    assert mel_filters(8000, 256, 40, 20.0, 4000.0).max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": 0}, "bands must be at least 1, got 0"),
        ({"hop": 0.05}, "hop must be positive and at most window=0.025, got 0.05"),
        ({"sample_rate": 8000, "high": 5000.0}, "half the sample rate, got 20 and 5000"),
        ({"sample_rate": 8000, "bands": 200}, "bands=200 are too many from 20 to 4000 Hz"),
        ({"sample_rate": 8000, "window": 1e-4, "hop": 1e-4}, "too short for 8000 Hz"),
        ({"coefficients": 41}, "coefficients must be 1 to bands=40, got 41"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MFCC(**options)  # type: ignore[arg-type]
