"""Augmentations of sounds and of their features: they keep lengths true, padding zero, and follow the generator."""

from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from seqmodels.data import Noise, SequenceBatch, Shift, SpecAugment, Speed, TranscriptBatch
from seqmodels.data.audio.waveform import WaveformAugmentation
from seqmodels.sequence import length_mask
from tests.sounds import RATE, tone

CHANGES: list[WaveformAugmentation] = [Noise(), Speed(factors=[0.8, 1.25]), Shift(seconds=0.01)]


def sounds() -> tuple[Tensor, Tensor]:
    rows = [tone(500, 0.2), tone(300, 0.11), tone(700, 0.05)]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_padding_stays_silent_and_the_generator_decides(change: WaveformAugmentation) -> None:
    samples, lengths = sounds()
    changed, new = change(samples, lengths, Generator().manual_seed(3), RATE)
    assert not (changed == samples).all() if changed.shape == samples.shape else True
    assert (changed[~length_mask(new, changed.shape[1])] == 0).all()
    again, _ = change(samples, lengths, Generator().manual_seed(3), RATE)
    assert torch.equal(changed, again)


def test_noise_has_the_level_that_it_should_have() -> None:
    samples, lengths = torch.ones(2, 20000), torch.tensor([20000, 9000])
    changed, _ = Noise(low=20, high=20)(samples, lengths, Generator().manual_seed(0), RATE)
    assert float((changed - samples)[0].square().mean()) == pytest.approx(0.01, rel=0.05)


def test_a_faster_sound_is_shorter_and_higher() -> None:
    samples, lengths = tone(400, 0.5)[None], torch.tensor([2000])
    changed, new = Speed(factors=[1.25])(samples, lengths, Generator(), RATE)
    assert new.tolist() == [1600]
    torch.testing.assert_close(changed[0, 100:-100], tone(500, 0.4)[100:-100], rtol=0, atol=5e-3)


def test_a_shift_moves_a_sound_within_its_length() -> None:
    samples = torch.arange(1.0, 9).repeat(40, 1)
    changed, _ = Shift(seconds=2 / RATE)(samples, torch.full((40,), 8), Generator().manual_seed(0), RATE)
    possible = {(3, 8), (2, 8), (1, 8), (1, 7), (1, 6)}  # first and last value that are left
    assert {(int(row[row > 0].min()), int(row.max())) for row in changed} == possible


@pytest.mark.parametrize("kind", ["sequence", "transcript"])
def test_masks_are_rectangles_of_the_width_that_is_allowed(kind: str) -> None:
    x, lengths = torch.ones(30, 40, 11), torch.full((30,), 33)
    batch: Any = SequenceBatch(x, lengths, torch.zeros(30, dtype=torch.long))
    if kind == "transcript":
        batch = TranscriptBatch(x, lengths, torch.ones(30, 2, dtype=torch.long), torch.full((30,), 2))
    changed = SpecAugment(bands=1, band_width=3, spans=1, span_width=5)(batch, Generator().manual_seed(0)).inputs
    masked = changed == 0
    assert (changed[:, 33:] == 1).all(), "padding is left alone"
    bands, spans = masked[:, :33].all(1), masked[:, :33].all(2)
    assert (masked[:, :33] == bands[:, None] | spans[..., None]).all()
    assert set(bands.sum(1).tolist()) == {0, 1, 2, 3}
    assert set(spans.sum(1).tolist()) == {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Noise(low=9, high=3), "low must be at most high=3, got 9"),
        (lambda: Speed(factors=[]), "at least one"),
        (lambda: Speed(factors=[3.0]), "speeds of 0.5 to 2"),
        (lambda: Shift(seconds=0), "seconds must be positive, got 0"),
        (lambda: SpecAugment(spans=-1), "spans must not be negative, got -1"),
        (lambda: SpecAugment(span_share=0), "span_share must lie in"),
    ],
)
def test_wrong_options_are_refused(make: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
