"""Forecast errors of panels: groups alone and together, batches, the coverage of intervals."""

from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels.data import ForecastBatch
from seqmodels.tasks.metrics.forecasts import INTERVAL, KINDS, ForecastErrors, persistence, rows_by_series

ROWS, HORIZON, SERIES, GROUPS = 13, 4, 2, 3


def batch(rows: int = ROWS) -> ForecastBatch:
    """Return windows of groups, each of which has its own scale."""
    series = torch.arange(rows) * 2 % 5 % GROUPS
    scales = (torch.rand(GROUPS, SERIES, dtype=torch.float64)[series] + 0.1 for _ in range(3))
    nothing, targets = torch.zeros(rows, 1, 0), torch.randn(rows, HORIZON, SERIES)
    observed = torch.ones_like(targets, dtype=torch.bool)
    return ForecastBatch._make((nothing, nothing, targets, nothing, series, nothing, *scales, targets, observed))


def taken(whole: ForecastBatch, rows: Any) -> ForecastBatch:
    return ForecastBatch._make(value[rows] for value in whole)


def measured(parts: list[tuple[Tensor, ForecastBatch]], groups: int = 1) -> ForecastErrors:
    errors = ForecastErrors(SERIES, ["model", "other"], groups=groups)
    for forecast, part in parts:
        bounds = forecast - 1, forecast + 0.7
        errors.update({"model": forecast, "other": 2 * forecast}, part, bounds)
    return errors


def test_metrics_do_not_depend_on_how_windows_are_batched() -> None:
    whole, forecast = batch(), torch.randn(ROWS, HORIZON, SERIES)
    rows = [[0, 1, 2, 3, 4, 5], [6], list(range(7, ROWS))]
    once = measured([(forecast, whole)], GROUPS)
    often = measured([(forecast[part], taken(whole, part)) for part in rows], GROUPS)
    torch.testing.assert_close(once.compute(), often.compute())
    torch.testing.assert_close(once.of_series(), often.of_series())


def test_the_metrics_of_a_group_are_those_of_its_windows_alone() -> None:
    whole, forecast = batch(), torch.randn(ROWS, HORIZON, SERIES)
    once = measured([(forecast, whole)], GROUPS)
    together = once.of_series()
    assert set(together) == {prefix + kind for prefix in ("", "other_") for kind in KINDS} | set(INTERVAL)
    for group in range(GROUPS):
        mine = whole.series == group
        alone = measured([(forecast[mine], taken(whole, mine))]).compute()
        for name, value in together.items():
            if not name.endswith("rmse"):  # the mean over the series is not that of their roots
                torch.testing.assert_close(value[group].mean().float(), alone[name])
            torch.testing.assert_close(once.of_groups()[name][group].float(), alone[name])


def test_every_window_of_a_panel_counts_the_same() -> None:
    whole, forecast = batch(), torch.randn(ROWS, HORIZON, SERIES)
    errors = measured([(forecast, whole)], GROUPS)
    shares = errors.count[:, 0] / errors.count[:, 0].sum()
    for name, value in errors.compute().items():
        if not name.endswith(("rmse", "r2")):
            torch.testing.assert_close((shares @ errors.of_series()[name]).mean().float(), value)


def test_targets_that_are_filled_in_do_not_count() -> None:
    whole, forecast = batch(), torch.randn(ROWS, HORIZON, SERIES)
    observed = torch.rand(ROWS, HORIZON, 1).expand(-1, -1, SERIES) > 0.3
    gaps = whole._replace(targets=whole.targets.where(observed, 1e6), observed=observed)
    found = measured([(forecast, gaps)], GROUPS)
    rows, steps = observed[..., 0].nonzero(as_tuple=True)
    kept = taken(whole, rows)._replace(
        targets=whole.targets[rows, steps][:, None], observed=observed[rows, steps][:, None]
    )
    only = measured([(forecast[rows, steps][:, None], kept)], GROUPS)
    assert 0 < int(found.count.sum()) == int(observed.sum()) < observed.numel()
    torch.testing.assert_close(found.compute(), only.compute())
    torch.testing.assert_close(found.of_series(), only.of_series())


def test_a_series_without_targets_is_left_out_of_the_mean_over_the_series() -> None:
    whole = batch()
    first = torch.tensor([True, False]).expand(ROWS, HORIZON, SERIES)
    errors = measured([(whole.targets + torch.tensor([2, 5]), whole._replace(observed=first))])
    assert float(errors.compute()["mse"]) == pytest.approx(4, rel=1e-5)
    assert [row["series"] for row in rows_by_series(errors, ["a", "b"], [], [()])] == ["a"]
    nan = measured([(whole.targets * torch.nan, whole._replace(observed=first))])
    assert nan.compute()["mse"].isnan(), "a forecast of NaN is seen"


def test_r2_compares_with_the_mean_of_each_group() -> None:
    whole = batch()
    means = torch.stack([whole.targets[whole.series == group].mean((0, 1)) for group in range(GROUPS)])
    forecast = means[whole.series][:, None].expand(-1, HORIZON, -1)
    assert float(measured([(forecast, whole)], GROUPS).compute()["r2"].abs()) < 1e-6
    assert float(measured([(whole.targets, whole)], GROUPS).compute()["r2"]) == 1


def test_coverage_is_the_share_of_targets_within_their_bounds() -> None:
    whole, forecast = batch(), torch.randn(ROWS, HORIZON, SERIES)
    found = measured([(forecast, whole)], GROUPS).compute()
    inside = (whole.targets >= forecast - 1) & (whole.targets <= forecast + 0.7)
    assert 0 < float(found["coverage"]) == float(inside.float().mean()) < 1
    torch.testing.assert_close(found["interval_width"], torch.tensor(1.7))
    torch.testing.assert_close(found["raw_interval_width"], (1.7 * whole.deviation.mean()).float())


def test_without_intervals_there_is_no_coverage() -> None:
    whole = batch()
    errors = ForecastErrors(SERIES, ["model"])
    errors.update({"model": whole.targets + 1}, whole)
    assert tuple(errors.compute()) == KINDS


def test_groups_that_are_not_in_the_training_data_are_one_row() -> None:
    whole = batch()
    new = whole._replace(series=torch.where(whole.series == 1, -1, whole.series))
    errors = measured([(whole.targets + 1, new)], GROUPS + 1)
    rows = rows_by_series(errors, ["a", "b"], ["shop", "town"], [("x", "y"), ("z", "y"), ("x", "w")])
    keys = [(row["shop"], row["town"], row["series"]) for row in rows]
    assert keys == [(*key, name) for key in (("x", "y"), ("x", "w"), ("", "")) for name in ("a", "b")]
    assert sum(row["steps"] for row in rows) == ROWS * HORIZON * SERIES
    assert all(abs(row["mse"] - 1) < 1e-6 for row in rows)


def test_a_group_column_with_the_name_of_another_column_is_kept() -> None:
    whole = batch()
    errors = measured([(whole.targets + 1, whole)], GROUPS)
    rows = rows_by_series(errors, ["a", "b"], ["series", "steps"], [("x", "y"), ("z", "y"), ("x", "w")])
    keys = [(row["input.series"], row["input.steps"], row["series"]) for row in rows]
    assert keys == [(*key, name) for key in (("x", "y"), ("z", "y"), ("x", "w")) for name in ("a", "b")]


def test_persistence_repeats_the_last_value() -> None:
    inputs = torch.tensor([[[1.0], [2.0], [3.0], [4.0], [5.0]]])
    assert persistence(inputs, 3).flatten().tolist() == [5, 5, 5]


def test_a_forecast_of_zero_for_zero_has_no_relative_error() -> None:
    zero = batch()._replace(targets=torch.zeros(ROWS, HORIZON, SERIES), mean=torch.zeros(ROWS, SERIES).double())
    errors = ForecastErrors(SERIES, ["model"])
    errors.update({"model": zero.targets}, zero)
    assert errors.compute()["smape"] == 0


def test_errors_of_values_far_from_zero_are_exact() -> None:
    whole = batch()
    far = whole._replace(mean=whole.mean + 1.6e9)
    errors = ForecastErrors(SERIES, ["model"])
    errors.update({"model": whole.targets + 0.5}, far)
    torch.testing.assert_close(errors.compute()["raw_mae"], (0.5 * whole.deviation.mean()).float())
