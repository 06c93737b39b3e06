"""Forecasters: against plain loops, one horizon for two ways, windows independent of each other."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells import ALL_CELLS, ElmanCell, GRUCell, LSTMCell, ResetAfterGRUCell
from seqmodels.models import DirectForecaster, Forecaster, RecursiveForecaster, SegmentForecaster
from seqmodels.models.likelihoods import GaussianForecast, Likelihood, PointForecast, QuantileForecast
from seqmodels.models.window_scaling import Normalization, scaled
from tests.conftest import TOLERANCE

BATCH, TIME, SERIES, HORIZON = 5, 13, 3, 7
SIZES: dict[str, Any] = {"input_size": SERIES, "output_size": SERIES, "horizon": HORIZON}
LIKELIHOODS: list[Likelihood] = [PointForecast("mae"), QuantileForecast([0.05, 0.5]), GaussianForecast()]
EXACT = TOLERANCE[torch.float64]


@pytest.fixture(autouse=True)
def _double() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def forecaster(name: str, **options: Any) -> Forecaster:
    cell = partial(GRUCell, hidden_size=6)
    if name == "segment":
        model: Forecaster = SegmentForecaster(cell, **SIZES, segment=4, embedding_size=8, **options)
    elif name == "direct":
        model = DirectForecaster(cell, **SIZES, **options)
    else:
        model = RecursiveForecaster(cell, **SIZES, **options)
    return model.eval()


def windows(batch: int = BATCH) -> tuple[Tensor, Tensor]:
    return 3 + torch.randn(batch, TIME, SERIES).cumsum(1), torch.zeros(batch, HORIZON, 0)


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda likelihood: type(likelihood).__name__)
@pytest.mark.parametrize("name", ["direct", "recursive", "segment"])
def test_a_forecast_has_its_shape_and_is_independent_of_the_rest_of_the_batch(
    name: str, likelihood: Likelihood
) -> None:
    model = forecaster(name, likelihood=likelihood)
    inputs, known = windows()
    together = model(inputs, known)
    assert together.shape == (BATCH, HORIZON, SERIES, likelihood.size)
    alone = torch.cat([model(inputs[row : row + 1], known[:1]) for row in range(BATCH)])
    torch.testing.assert_close(alone, together, **EXACT)


@pytest.mark.parametrize("name", ["direct", "recursive", "segment"])
def test_a_window_that_is_moved_moves_its_forecast(name: str) -> None:
    inputs, known = windows()
    for normalization, factor in (("last", 1.0), ("window", 2.5)):
        model = forecaster(name, normalization=normalization)
        moved = model(inputs * factor + 40, known)
        torch.testing.assert_close(moved, model(inputs, known) * factor + 40, **EXACT)


@pytest.mark.parametrize("normalization", ["none", "last", "window"])
def test_the_scale_of_a_window_inverts_exactly(normalization: Normalization) -> None:
    inputs, _ = windows()
    x, location, scale = scaled(inputs, 2, normalization)
    torch.testing.assert_close(x[..., :2] * scale + location, inputs[..., :2], **EXACT)
    assert torch.equal(x[..., 2:], inputs[..., 2:]), "what is only read stays as it is"


def test_a_window_that_does_not_change_is_divided_by_1() -> None:
    x, _, scale = scaled(torch.full((2, 5, 1), 7.0), 1, "window")
    assert torch.equal(scale, torch.ones(2, 1, 1))
    assert torch.equal(x, torch.zeros(2, 5, 1))


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda likelihood: type(likelihood).__name__)
@pytest.mark.parametrize("known_size", [0, 2])
def test_one_step_recursively_is_one_step_directly(likelihood: Likelihood, known_size: int) -> None:
    options: dict[str, Any] = {**SIZES, "horizon": 1, "likelihood": likelihood, "depth": 2, "known_size": known_size}
    options["input_size"] += known_size
    cell = partial(LSTMCell, hidden_size=6)
    direct, recursive = DirectForecaster(cell, **options), RecursiveForecaster(cell, **options)
    recursive.load_state_dict(direct.state_dict())
    inputs = torch.cat([windows()[0], torch.randn(BATCH, TIME, known_size)], -1)
    known = torch.randn(BATCH, 1, known_size)
    torch.testing.assert_close(recursive(inputs, known), direct(inputs, known), **EXACT)


@pytest.mark.parametrize("normalization", ["none", "last", "window"])
def test_recursion_reads_its_own_forecasts_as_inputs(normalization: Normalization) -> None:
    """The forecast of a step is that of one step from a window to which all forecasts before it were added."""
    model = forecaster("recursive", normalization=normalization)
    inputs, known = windows()
    forecast = model(inputs, known)[..., 0]
    taught = model(inputs, known, forecast)[..., 0]  # teacher forcing, the teacher being the forecast itself
    torch.testing.assert_close(taught, forecast, **EXACT)


def test_teacher_forcing_forecasts_each_step_from_the_true_ones_before_it() -> None:
    model = forecaster("recursive", normalization="none")
    inputs, known = windows()
    targets = torch.randn(BATCH, HORIZON, SERIES)
    taught = model(inputs, known, targets)
    for step in (0, 1, HORIZON - 1):
        longer = torch.cat([inputs, targets[:, :step]], 1)
        torch.testing.assert_close(taught[:, step : step + 1], model(longer, known[:, :1]), **EXACT)


def test_recursion_goes_as_far_as_one_asks() -> None:
    model = forecaster("recursive")
    inputs, _ = windows()
    far, near = (model(inputs, torch.zeros(BATCH, horizon, 0)) for horizon in (2 * HORIZON, 3))
    torch.testing.assert_close(far[:, :3], near, **EXACT)


@pytest.mark.parametrize("model", [DirectForecaster, RecursiveForecaster])
def test_what_is_known_of_the_future_is_read(model: type[DirectForecaster] | type[RecursiveForecaster]) -> None:
    network = model(partial(GRUCell, hidden_size=6), **{**SIZES, "input_size": SERIES + 2}, known_size=2)
    inputs, _ = windows()
    inputs, known = torch.cat([inputs, torch.randn(BATCH, TIME, 2)], -1), torch.randn(BATCH, HORIZON, 2)
    changed = known.clone()
    changed[:, 1] += 1
    difference = (network(inputs, known) - network(inputs, changed)).detach().abs()
    assert float(difference.sum()) > 0
    if model is RecursiveForecaster:
        assert float(difference[:, :1].sum()) == 0, "a step is read to forecast it, not before"
        assert float(difference[:, 1].sum()) > 0


def test_a_recursive_forecaster_from_before_the_last_layer_read_known_features_forecasts_the_same() -> None:
    sizes = {**SIZES, "input_size": SERIES + 2}
    model = RecursiveForecaster(partial(GRUCell, hidden_size=6), **sizes, known_size=2).eval()
    with torch.no_grad():
        model.read_out.weight[:, 6:] = 0
    inputs = torch.cat([windows()[0], torch.randn(BATCH, TIME, 2)], -1)
    expected = model(inputs, torch.randn(BATCH, HORIZON, 2).clone())[:, :1]  # zero weights ignore what is known
    old = {name: value[:, :6] if name == "read_out.weight" else value for name, value in model.state_dict().items()}
    other = RecursiveForecaster(partial(GRUCell, hidden_size=6), **sizes, known_size=2).eval()
    other.load_state_dict(old)
    known = torch.randn(BATCH, HORIZON, 2)
    assert torch.equal(other(inputs, known), model(inputs, known))
    assert torch.equal(other(inputs, known)[:, :1], expected)


GROUPS: dict[str, Any] = {"static_size": 2, "series": 4, "series_embedding": 3}


@pytest.mark.parametrize("name", ["direct", "recursive", "segment"])
def test_static_features_and_the_group_are_read_for_their_own_window_alone(name: str) -> None:
    model = forecaster(name, **GROUPS)
    inputs, known = windows()
    static, series = torch.randn(BATCH, 2), torch.tensor([0, 1, 2, 3, 3])
    before = model(inputs, known, None, static, series)
    for changed in ((static + torch.eye(BATCH, 2), series), (static, torch.tensor([3, 2, 2, 3, 3]))):
        difference = (model(inputs, known, None, *changed) - before).detach().abs().amax((1, 2, 3))
        assert (difference > 0).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("name", ["direct", "recursive", "segment"])
def test_a_group_that_is_not_in_the_training_data_has_no_embedding(name: str) -> None:
    model = forecaster(name, series=4, series_embedding=3)
    for number in (-1, 4):
        with pytest.raises(ValueError, match="each of the 4 groups of the training data, and none for a new group"):
            model(*windows(1), series=torch.tensor([number]))
    with pytest.raises(ValueError, match="needs series"):
        model(*windows(1))
    with pytest.raises(ValueError, match=r"static must have shape \(batch, 2\), got None"):
        forecaster(name, static_size=2)(*windows(1))


def test_recursion_with_groups_reads_its_own_forecasts_as_inputs() -> None:
    model = forecaster("recursive", **GROUPS)
    groups = torch.randn(BATCH, 2), torch.tensor([0, 1, 2, 3, 3])
    inputs, known = windows()
    forecast = model(inputs, known, None, *groups)[..., 0]
    torch.testing.assert_close(model(inputs, known, forecast, *groups)[..., 0], forecast, **EXACT)


def test_a_segment_forecaster_reads_the_features_of_a_segment_with_that_segment() -> None:
    cell = partial(GRUCell, hidden_size=6)
    sizes = {**SIZES, "input_size": SERIES + 2, "known_size": 1}
    model = SegmentForecaster(cell, **sizes, segment=4, embedding_size=8).eval()
    inputs = torch.cat([windows()[0], torch.randn(BATCH, TIME, 2)], -1)
    known = torch.randn(BATCH, HORIZON, 1)
    before = model(inputs, known)
    for step, segment in ((0, range(4)), (HORIZON - 1, range(4, HORIZON))):
        later = known.clone()
        later[:, step] += 1
        steps = (model(inputs, later) - before).detach().abs().amax((0, 2, 3)).nonzero().flatten()
        assert steps.tolist() == list(segment)
    ignored, read = inputs.clone(), inputs.clone()
    ignored[:, 0, -2:] += 1  # 13 steps are three segments of 4 and one step
    read[:, 1, -2:] += 1
    assert torch.equal(model(ignored, known), before)
    assert not torch.equal(model(read, known), before)


def segment_loop(model: SegmentForecaster, inputs: Tensor) -> Tensor:
    """SegRNN as its paper has it, one series, one segment and one segment to come at a time."""
    cell, width, whole = model.cell, model.segment, inputs.shape[1] // model.segment * model.segment
    forecast = torch.zeros(len(inputs), HORIZON, SERIES)
    for row in range(len(inputs)):
        for series in range(SERIES):
            x = inputs[row, -whole:, series] - inputs[row, -1, series]
            state = None
            for segment in x.split(width):
                _, state = cell(F.relu(model.embedding(segment))[None], state)
            for number in range(len(model.position)):
                place = torch.cat([model.position[number], model.channel[series]])[None]
                y, _ = cell(place, state)
                steps = slice(number * width, min((number + 1) * width, HORIZON))
                written = model.read_out(y)[0, : steps.stop - steps.start]
                forecast[row, steps, series] = written + inputs[row, -1, series]
    return forecast


@pytest.mark.parametrize("cell", [GRUCell, ResetAfterGRUCell, LSTMCell, ElmanCell])
def test_a_segment_forecaster_is_the_loop_of_its_paper(cell: Any) -> None:
    model = SegmentForecaster(partial(cell, hidden_size=6), **SIZES, segment=4, embedding_size=10).eval()
    inputs, known = windows()
    torch.testing.assert_close(model(inputs, known)[..., 0], segment_loop(model, inputs), **EXACT)


def test_a_segment_forecaster_has_the_parameters_of_its_paper() -> None:
    """ETTh1, 720 to 96: an embedding of 24, a GRU of 512 (here one bias a gate less), 4 places, 7 series, 24 out."""
    cell = partial(ResetAfterGRUCell, hidden_size=512)
    model = SegmentForecaster(cell, input_size=7, output_size=7, horizon=96)
    gru = sum(parameter.numel() for parameter in model.cell.parameters())
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total - gru == (24 * 512 + 512) + (4 + 7) * 256 + (512 * 24 + 24)
    assert gru == 3 * 512 * 1024 + 4 * 512


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.__name__)
def test_every_cell_reads_and_writes_segments(cell: Any) -> None:
    model = SegmentForecaster(partial(cell, hidden_size=8), **SIZES, segment=4, embedding_size=8)
    model(*windows()).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: forecaster("direct", normalization="first"), "normalization must be one of none, last, window"),
        (lambda: forecaster("direct", series_embedding=-1), "series_embedding must be a size, or 0 for none, got -1"),
        (lambda: SegmentForecaster(GRUCell, **SIZES, embedding_size=7), "embedding_size even"),
        (lambda: forecaster("segment")(torch.zeros(2, 3, SERIES)), "at least one segment of 4 steps, got 3"),
        (
            lambda: RecursiveForecaster(partial(GRUCell, hidden_size=2), **{**SIZES, "input_size": 5}, known_size=1),
            "but 1 of the inputs are features",
        ),
        (lambda: PointForecast("rmse"), "loss must be one of mse, mae, huber"),  # type: ignore[arg-type]
        (lambda: QuantileForecast([0.1, 0.9]), "0.5 among them"),
        (lambda: QuantileForecast([0.5, 0.1]), "ascend"),
        (lambda: GaussianForecast(0.0), "least must be positive"),
    ],
)
def test_options_that_do_not_fit_are_refused(build: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build()


def test_the_pinball_loss_is_its_definition() -> None:
    levels = [0.1, 0.5, 0.8]
    numbers, targets = torch.randn(4, 3, len(levels)), torch.randn(4, 3)
    losses = [
        level * (y - q) if y >= q else (1 - level) * (q - y)
        for y, row in zip(targets.flatten().tolist(), numbers.flatten(0, 1).tolist(), strict=True)
        for level, q in zip(levels, row, strict=True)
    ]
    assert float(QuantileForecast(levels).loss(numbers, targets)) == pytest.approx(sum(losses) / len(losses))


def test_quantiles_that_cross_are_put_in_order() -> None:
    likelihood = QuantileForecast([0.1, 0.5, 0.9])
    crossed = torch.tensor([3.0, 1.0, 2.0])
    assert [float(value) for value in likelihood.statistics(crossed).values()] == [1, 2, 3]
    assert float(likelihood.point(crossed)) == 2


def test_the_gaussian_loss_is_the_negative_log_likelihood() -> None:
    likelihood = GaussianForecast()
    numbers, targets = likelihood.constrained(torch.randn(4, 3, 2)), torch.randn(4, 3)
    mean, deviation = numbers.unbind(-1)
    expected = -torch.distributions.Normal(mean, deviation).log_prob(targets).mean()
    torch.testing.assert_close(likelihood.loss(numbers, targets), expected, **EXACT)
    assert float(GaussianForecast(0.2).constrained(torch.full((1, 2), -99.0))[0, 1]) == pytest.approx(0.2)


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda likelihood: type(likelihood).__name__)
def test_numbers_about_a_value_become_numbers_about_the_scaled_value(likelihood: Likelihood) -> None:
    numbers = likelihood.constrained(torch.randn(4, 3, likelihood.size))
    location, scale = torch.randn(4, 3), torch.rand(4, 3) + 0.5
    moved = likelihood.shifted(numbers, location, scale)
    torch.testing.assert_close(likelihood.point(moved), likelihood.point(numbers) * scale + location, **EXACT)
    unmoved = likelihood.statistics(numbers)
    for before, after in zip(unmoved.values(), likelihood.statistics(moved).values(), strict=True):
        torch.testing.assert_close(after, before * scale + location, **EXACT)


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("likelihood", [*LIKELIHOODS, QuantileForecast([0.1, 0.4, 0.5, 0.9])], ids=repr)
def test_the_score_of_a_value_is_the_least_margin_of_an_interval_that_holds_it(
    likelihood: Likelihood, share: float
) -> None:
    params, targets = likelihood.constrained(torch.randn(500, likelihood.size)), torch.randn(500)
    score = likelihood.score(params, targets, share)
    for margin, held in ((score + 1e-9, True), (score - 1e-9, False)):
        low, high = likelihood.bounds(params, margin, share)
        inside = ((low <= targets) & (targets <= high))[held | (score > 0)]  # every interval reaches to the point
        assert bool((inside == held).all())


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda likelihood: type(likelihood).__name__)
def test_the_point_is_within_every_interval(likelihood: Likelihood) -> None:
    params = likelihood.constrained(torch.randn(50, likelihood.size))
    for margin in (-3.0, 0.0, 2.0) if isinstance(likelihood, QuantileForecast) else (0.0, 2.0):
        low, high = likelihood.bounds(params, margin, likelihood.share)
        point = likelihood.point(params)
        assert bool(((low <= point) & (point <= high)).all())


def test_a_likelihood_states_the_margin_of_its_own_probabilities() -> None:
    assert GaussianForecast().stated_margin(0.95) == pytest.approx(1.959964)
    assert PointForecast().stated_margin(0.95) is None
    levels = QuantileForecast([0.05, 0.1, 0.5, 0.9, 0.95])
    assert [levels.stated_margin(share) for share in (0.9, 0.8, 0.7)] == [0, 0, None]
    params = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    bounds = {share: [float(bound) for bound in levels.bounds(params, 0.0, share)] for share in (0.9, 0.8)}
    assert bounds == {0.9: [1, 5], 0.8: [2, 4]}
    shares = [QuantileForecast(levels).share for levels in ([0.05, 0.5, 0.95], [0.1, 0.5], [0.5])]
    assert shares == [0.9, 0.8, 0.95]


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda likelihood: type(likelihood).__name__)
def test_intervals_are_those_of_the_calibration_else_those_that_are_stated(likelihood: Likelihood) -> None:
    model = forecaster("direct", likelihood=likelihood)
    params = model(*windows())
    stated = likelihood.stated_margin(0.95)
    found = model.interval(params, 0.95)
    assert (found is None) == (stated is None)
    if found is not None and stated is not None:
        torch.testing.assert_close(found, likelihood.bounds(params, stated, 0.95))
    margin = torch.rand(HORIZON, SERIES)
    model.margin.copy_(margin)
    torch.testing.assert_close(model.interval(params, 0.95), likelihood.bounds(params, margin, 0.95))


def test_weights_without_margins_or_with_those_of_another_horizon_are_not_calibrated() -> None:
    model = forecaster("recursive")
    model.margin.fill_(2.0)
    calibrated = model.state_dict()
    model.load_state_dict({name: value for name, value in calibrated.items() if name != "margin"})
    assert bool(model.margin.isinf().all())
    model.load_state_dict({**calibrated, "margin": torch.full((HORIZON, SERIES), 2.0)})
    assert bool((model.margin == 2).all())
    model.load_state_dict({**calibrated, "margin": torch.full((HORIZON + 1, SERIES), 2.0)})
    assert bool(model.margin.isinf().all())


def test_a_window_that_is_constant_up_to_rounding_is_divided_by_1() -> None:
    x, _, scale = scaled((900 + 1e-5 * torch.randn(2, 50, 1)).float(), 1, "window")
    assert torch.equal(scale, torch.ones(2, 1, 1, dtype=torch.float32))
    assert float(x.abs().max()) < 1e-3
