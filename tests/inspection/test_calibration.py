"""A temperature that is known is found, and calibrates."""

import pytest
import torch
from torch import Tensor

from seqmodels.inspection import fit_temperature, reliability
from seqmodels.inspection.production.calibration import sure

ROWS, CLASSES, KNOWN = 6000, 4, 2.5


def drawn(*, labels: bool) -> tuple[Tensor, Tensor]:
    """Return logits and outcomes that have the probabilities of these logits at temperature ``KNOWN``."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(ROWS, CLASSES, generator=generator)
    if labels:
        return logits, (torch.rand(ROWS, CLASSES, generator=generator) < (logits / KNOWN).sigmoid()).float()
    return logits, (logits / KNOWN).softmax(-1).multinomial(1, generator=generator)[:, 0]


@pytest.mark.parametrize("labels", [False, True])
def test_a_known_temperature_is_recovered_and_calibrates(labels: bool) -> None:
    logits, targets = drawn(labels=labels)
    found = fit_temperature(logits, targets)
    assert found == pytest.approx(KNOWN, rel=0.05)
    before, after = reliability(*sure(logits, targets)).error, reliability(*sure(logits, targets, found)).error
    assert before > 0.08
    assert after < 0.02


def test_a_temperature_that_the_data_do_not_tell_is_refused() -> None:
    logits = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    with pytest.raises(ValueError, match="every answer is right"):
        fit_temperature(logits, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="no better than a guess"):
        fit_temperature(logits, torch.tensor([1, 0]))


def test_the_error_is_the_mean_gap_between_confidence_and_accuracy() -> None:
    found = reliability(torch.tensor([0.95, 1.0, 0.55, 0.55]), torch.tensor([True, True, True, False]), bins=2)
    assert found.number.tolist() == [0, 4]
    assert found.error == pytest.approx(0.7625 - 0.75)
    with pytest.raises(ValueError, match="an outcome for each probability"):
        reliability(torch.tensor([0.5]), torch.tensor([True, False]))
