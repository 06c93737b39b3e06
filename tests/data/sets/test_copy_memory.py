"""Copying memory: the protocol, step by step."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from seqmodels.data import CopyMemoryData, DataModule
from seqmodels.sequence import length_mask
from tests.datasets import ready


def small(**options: Any) -> DataModule:
    rows = {"train_rows": 300, "val_rows": 11, "test_rows": 13}
    return ready(CopyMemoryData, **{"time": 7, "memory": 3, **rows, **options})


def test_symbols_are_asked_for_after_the_blanks_and_answered_at_the_last_steps() -> None:
    data = small()
    batch = data.split("train").__getitems__(list(range(300)))
    assert batch.inputs.shape == (300, data.sizes["time"], 1) == (300, 13, 1)
    assert length_mask(batch.lengths, 13).all()
    shown = batch.inputs[..., 0]
    assert set(shown[:, :3].unique().tolist()) == set(range(1, 9))
    assert (shown[:, 3:9] == 0).all()  # with the first signal, 7 steps without an answer
    assert (shown[:, 9:] == 9).all()
    assert (batch.targets[:, :10] == 0).all()
    assert torch.equal(batch.targets[:, 10:], shown[:, :3].long())


def test_remembering_nothing_has_the_stated_loss_and_accuracy() -> None:
    data = ready(CopyMemoryData, time=20)
    targets = data.split("train").targets.reshape(-1, 40)
    chances = torch.zeros(40, 9)
    chances[:30, 0] = 1
    chances[30:, 1:] = 1 / 8
    loss = F.nll_loss(chances.log().clamp(min=-99).repeat(len(targets), 1), targets.flatten())
    assert float(loss) == pytest.approx(10 * math.log(8) / (20 + 20))
    guess = torch.cat([torch.zeros(30), torch.ones(10)])
    assert float((targets == guess).float().mean()) == pytest.approx((20 + 11.25) / 40, abs=1e-3)


def test_the_data_seed_decides_the_symbols() -> None:
    assert torch.equal(small().split("test").targets, small(seed=5).split("test").targets)
    assert not torch.equal(small().split("test").targets, small(data_seed=1).split("test").targets)


@pytest.mark.parametrize("option", ["time", "memory"])
def test_options_below_1_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be at least 1, got 0"):
        small(**{option: 0})
