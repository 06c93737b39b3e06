"""Calibrated intervals: coverage of exchangeable data, margins that belong to the weights of a checkpoint."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from seqmodels.models.likelihoods import GaussianForecast, Likelihood, PointForecast, QuantileForecast
from seqmodels.tasks import calibration
from seqmodels.tasks.calibration import ConformalScores, checked_share, warn_of_few
from tests.tasks.small import HORIZON, forecasting, series, trainer

WINDOWS, COLUMNS, NEW = 59, 300, 40
MISSPECIFIED: list[tuple[Likelihood, list[float]]] = [
    (PointForecast(), [0.3]),
    (GaussianForecast(), [0.0, 0.4]),  # of values with deviation 1
    (QuantileForecast([0.1, 0.5, 0.9]), [-0.2, 0.1, 0.3]),
    (QuantileForecast([0.1, 0.5, 0.9]), [-9.0, 0.0, 9.0]),  # too wide
]


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize(("likelihood", "params"), MISSPECIFIED, ids=["point", "narrow", "quantiles", "wide"])
def test_calibrated_intervals_cover_the_share_of_exchangeable_outcomes(
    likelihood: Likelihood, params: list[float], share: float
) -> None:
    """On average over calibrations an interval covers k / (n + 1), where k is the rank of its margin."""
    known, new = torch.randn(WINDOWS, COLUMNS, 1), torch.randn(NEW, COLUMNS, 1)
    forecast = torch.tensor(params)
    scores = ConformalScores(share)
    scores.update(likelihood.score(forecast.expand(*known.shape, -1), known, share))
    margin = scores.compute()
    assert margin.shape == (COLUMNS, 1)

    def coverage(margin: Any) -> float:
        low, high = likelihood.bounds(forecast.expand(*new.shape, -1), margin, share)
        return float(((low <= new) & (new <= high)).double().mean())

    rank = math.ceil((WINDOWS + 1) * share)
    expected = rank / (WINDOWS + 1)
    within = expected * (1 - expected)
    deviation = math.sqrt(within / (WINDOWS + 2) / COLUMNS + within / (COLUMNS * NEW))
    assert share <= expected
    assert abs(coverage(margin) - expected) < 4 * deviation
    stated = likelihood.stated_margin(share)
    if stated is not None:
        assert abs(coverage(stated) - share) > 10 * deviation, "the likelihood is wrong"


def test_too_few_windows_leave_the_greatest_score_and_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for share in (0.5, 0.8, 0.9, 0.95, 0.99):
        warned = []
        for windows in range(1, 120):
            caplog.clear()
            warn_of_few(windows, share)
            warned.append(bool(caplog.records))
            assert warned[-1] == (math.ceil((windows + 1) * share - 1e-9) > windows)
        assert warned == sorted(warned, reverse=True)
    scores = ConformalScores(0.95)
    scores.update(torch.tensor([[[3.0], [1.0]], [[2.0], [5.0]]]))
    assert scores.compute().flatten().tolist() == [3, 5]


def test_of_too_many_scores_every_second_window_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "LIMIT", 3 * 11)
    numbers = torch.arange(97.0)[:, None, None].expand(-1, 3, 1)
    for sizes in ([97], [5] * 19 + [2], [1] * 97):
        scores = ConformalScores(0.9)
        for part in numbers.split(sizes):
            scores.update(part)
        kept = torch.cat(scores.scores)[:, 0, 0].tolist()
        stride = kept[1]
        assert kept == [stride * index for index in range(len(kept))], sizes
        assert 97 - stride <= kept[-1], "up to the end"
        assert scores.windows == len(kept) <= 11


def test_a_share_that_is_none_or_cannot_be_had_is_refused() -> None:
    for share in (0.0, 1.0, 95):
        with pytest.raises(ValueError, match=f"between 0 and 1, got {share}"):
            checked_share(PointForecast(), share, calibrate=True)
    for likelihood in (PointForecast(), QuantileForecast([0.1, 0.5, 0.9])):
        with pytest.raises(ValueError, match=r"states no interval that covers 0\.7.*task\.calibrate=true"):
            checked_share(likelihood, 0.7, calibrate=False)
        assert checked_share(likelihood, 0.7, calibrate=True) == 0.7
    assert checked_share(GaussianForecast(), 0.7, calibrate=False) == 0.7
    assert checked_share(QuantileForecast([0.1, 0.5, 0.9]), None, calibrate=False) == 0.8


@pytest.mark.parametrize("average", [False, True], ids=["weights", "averaged"])
def test_the_margins_of_a_checkpoint_belong_to_its_weights(
    tmp_path: Path, average: bool, caplog: pytest.LogCaptureFixture
) -> None:
    data = series(tmp_path)
    saving = ModelCheckpoint(tmp_path / "checkpoints", monitor="val/loss", save_last=True)
    callbacks = [saving, *([EMAWeightAveraging(decay=0.5)] if average else [])]
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    fitting = Trainer(accelerator="cpu", max_epochs=2, callbacks=callbacks, **quiet)
    network = forecasting(data, likelihood=GaussianForecast())
    fitting.fit(network, datamodule=data)
    assert "the validation part has 6 windows" in caplog.text
    weights = [network.state_dict()]
    for path in (saving.best_model_path, saving.last_model_path):
        weights.append(torch.load(path, weights_only=True)["state_dict"])
    for found in weights:
        margin = found["model.margin"].clone()
        assert bool(margin.isfinite().all())
        network.load_state_dict(found)
        trainer().validate(network, datamodule=data, verbose=False)
        torch.testing.assert_close(network.model.margin, margin)


def test_a_training_without_validation_keeps_the_margins_that_it_took_over(tmp_path: Path) -> None:
    data = series(tmp_path)
    network, margin = forecasting(data), torch.rand(HORIZON, 2)
    network.take_over({"model.margin": margin})
    callbacks = [ModelCheckpoint(tmp_path / "checkpoints", save_last=True), EMAWeightAveraging(decay=0.5)]
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    options: dict[str, Any] = {"max_epochs": 1, "limit_val_batches": 0, "accelerator": "cpu"}
    Trainer(callbacks=callbacks, **options, **quiet).fit(network, datamodule=data)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]["model.margin"]
    torch.testing.assert_close(saved, margin)
    torch.testing.assert_close(network.model.margin, margin)
