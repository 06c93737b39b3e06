"""Recurrent networks that forecast time series: all steps at once, or one after the other."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.layers import recurrent_stack
from seqmodels.layers.stack import CellFactory
from seqmodels.models.group_features import GroupFeatures, at_every_step
from seqmodels.models.likelihoods import Likelihood, PointForecast
from seqmodels.models.sequence_network import Initializer
from seqmodels.models.window_scaling import Normalization, check_normalization, scaled


class Forecaster(nn.Module, ABC):
    """Base of networks that forecast: they predict the parameters of a likelihood for each future value.

    Args:
        output_size, horizon: numbers of series and of steps to forecast.
        normalization: of each window, as in :class:`~seqmodels.models.forecaster.RecurrentForecaster`.
        likelihood: the predicted distribution; a point forecast by default.
        groups: what tells the groups of a panel apart.

    Raises:
        ValueError: ``normalization`` is unknown.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> from seqmodels.models import DirectForecaster
        >>> model = DirectForecaster(GRUCell, input_size=2, output_size=2, horizon=3, hidden_sizes=[5])
        >>> isinstance(model, Forecaster), model.likelihood.size
        (True, 1)
    """

    margin: Tensor
    """``(horizon, output)``, of the intervals of each step, set by calibration; infinite before it."""

    def __init__(
        self,
        *,
        output_size: int,
        horizon: int,
        normalization: Normalization,
        likelihood: Likelihood | None,
        groups: GroupFeatures,
    ) -> None:
        super().__init__()
        check_normalization(normalization)
        self.output_size = output_size
        self.horizon = horizon
        self.normalization = normalization
        self.likelihood = PointForecast() if likelihood is None else likelihood
        self.groups = groups
        self.register_buffer("margin", torch.full((horizon, output_size), torch.inf))

    @abstractmethod
    def forward(
        self,
        inputs: Tensor,
        known: Tensor,
        targets: Tensor | None = None,
        static: Tensor | None = None,
        series: Tensor | None = None,
    ) -> Tensor:
        """Predict the parameters of the likelihood of the future values.

        Args:
            inputs: ``(batch, time, input)``, the series to forecast being the first features, and what is known of the
                future, such as the calendar, the last.
            known: ``(batch, horizon, known)``, what is known of the future; ``known`` may be 0.
            targets: ``(batch, horizon, output)``, in training alone: a step may then be forecast from the true steps
                before it.
            static: ``(batch, static)``, features of the group of each window.
            series: ``(batch,)``, the index of that group.

        Returns:
            Parameters ``(batch, horizon, output, likelihood.size)``.

        Raises:
            ValueError: a group is not in the training data, but the network has an embedding of each group.
        """

    def interval(self, params: Tensor, share: float) -> tuple[Tensor, Tensor] | None:
        """Return the bounds, each ``(batch, horizon, output)``, of the interval that covers ``share`` of the outcomes.

        They are the calibrated ones, for the share of the calibration; without one, those which the likelihood states;
        None if it states none.
        """
        margin: Tensor | float | None = self.margin
        if not bool(self.margin.isfinite().all()):
            margin = self.likelihood.stated_margin(share)
        return None if margin is None else self.likelihood.bounds(params, margin, share)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Load weights without margins, or with those of another horizon, as those of an uncalibrated network."""
        if getattr(state_dict.get(f"{prefix}margin"), "shape", None) != self.margin.shape:
            state_dict[f"{prefix}margin"] = torch.full_like(self.margin, torch.inf)
        super()._load_from_state_dict(state_dict, prefix, *others)


class RecurrentForecaster(Forecaster, ABC):
    """Recurrent layers over windows, each window normalised separately, and a linear read-out.

    Args:
        cell: makes a cell from an input size, as ``partial(GRUCell, hidden_size=128)`` does; or a sequence of such
            factories, one for each layer.
        input_size: features of a step: the series, other features, what is known of the future.
        output_size: number of series to forecast, the first features.
        horizon: number of steps to forecast.
        known_size: features of a step that are known of the future, such as the calendar or a promotion; the last.
        static_size: number of static features of a group, which are read at every step.
        series: number of groups in the training data.
        series_embedding: size of a vector that is learnt for each group and read at every step; 0 for none. Groups
            that are not in the training data can then not be forecast.
        hidden_sizes, depth, dropout, residual, initializer, backend: as in
            :class:`~seqmodels.models.SequenceNetwork`.
        normalization: ``none``, ``last`` (subtract each window's last value) or ``window`` (subtract its mean, divide
            by its standard deviation); undone in the forecast.
        likelihood: the predicted distribution, see :mod:`seqmodels.models.likelihoods`; a point forecast by default.

    Raises:
        ValueError: ``normalization`` is unknown, or options do not fit each other.
    """

    def __init__(
        self,
        cell: CellFactory | Sequence[CellFactory],
        *,
        input_size: int,
        output_size: int,
        horizon: int,
        known_size: int = 0,
        static_size: int = 0,
        series: int = 1,
        series_embedding: int = 0,
        hidden_sizes: Sequence[int] | None = None,
        depth: int | None = None,
        dropout: float = 0.0,
        residual: bool = False,
        normalization: Normalization = "last",
        likelihood: Likelihood | None = None,
        initializer: Initializer | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            output_size=output_size,
            horizon=horizon,
            normalization=normalization,
            likelihood=likelihood,
            groups=GroupFeatures(static_size, series, series_embedding),
        )
        self.recurrent = recurrent_stack(
            cell,
            input_size + self.groups.size,
            hidden_sizes=hidden_sizes,
            depth=depth,
            dropout=dropout,
            residual=residual,
            backend=backend,
        )
        self.read_out = self._read_out(input_size, known_size)
        if initializer is not None:
            initializer(self)

    @abstractmethod
    def _read_out(self, input_size: int, known_size: int) -> nn.Linear:
        """Return the layer on top of the recurrent ones."""

    def _params(self, outputs: Tensor, steps: int) -> Tensor:
        """Return outputs as parameters ``(batch, steps, output, size)``."""
        batch = outputs.shape[0]  # which an exported graph keeps variable; len() is one number
        return self.likelihood.constrained(outputs.view(batch, steps, self.output_size, self.likelihood.size))


class DirectForecaster(RecurrentForecaster):
    """Forecasts all steps at once from the outputs at the last step of the window.

    Options are those of :class:`~seqmodels.models.forecaster.RecurrentForecaster`.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> model = DirectForecaster(GRUCell, input_size=2, output_size=1, horizon=3, hidden_sizes=[5])
        >>> model(torch.zeros(4, 7, 2), torch.zeros(4, 3, 0)).shape
        torch.Size([4, 3, 1, 1])
    """

    def _read_out(self, input_size: int, known_size: int) -> nn.Linear:  # noqa: ARG002
        values = self.horizon * self.output_size * self.likelihood.size
        return nn.Linear(self.recurrent.output_size + self.horizon * known_size, values)

    def forward(
        self,
        inputs: Tensor,
        known: Tensor,
        targets: Tensor | None = None,  # noqa: ARG002
        static: Tensor | None = None,
        series: Tensor | None = None,
    ) -> Tensor:
        x, location, scale = scaled(inputs, self.output_size, self.normalization)
        y, _ = self.recurrent(at_every_step(x, self.groups(static, series)))
        outputs = self.read_out(torch.cat([y[:, -1], known.flatten(1)], 1))
        return self.likelihood.shifted(self._params(outputs, self.horizon), location, scale)


class RecursiveForecaster(RecurrentForecaster):
    """Forecasts one step, reads its own forecast as the next input, and so on for all steps of ``known``.

    What is known of a step is read by the last layer to forecast it, and with its value as the input of the next step.
    In training each step is forecast from the true ones before it (teacher forcing). Options are those of
    :class:`~seqmodels.models.forecaster.RecurrentForecaster`.

    Raises:
        ValueError: inputs hold features whose future is not known.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> model = RecursiveForecaster(GRUCell, input_size=1, output_size=1, horizon=3, hidden_sizes=[5])
        >>> model(torch.zeros(4, 7, 1), torch.zeros(4, 6, 0)).shape
        torch.Size([4, 6, 1, 1])
    """

    def _read_out(self, input_size: int, known_size: int) -> nn.Linear:
        if input_size != self.output_size + known_size:
            raise ValueError(
                f"a recursive forecaster reads its own forecasts, but {input_size - self.output_size - known_size} of "
                "the inputs are features that nobody forecasts (data.features): make them targets, name them in "
                "data.future if their future values are known, or forecast directly (model=forecaster)"
            )
        return nn.Linear(self.recurrent.output_size + known_size, self.output_size * self.likelihood.size)

    def forward(
        self,
        inputs: Tensor,
        known: Tensor,
        targets: Tensor | None = None,
        static: Tensor | None = None,
        series: Tensor | None = None,
    ) -> Tensor:
        x, location, scale = scaled(inputs, self.output_size, self.normalization)
        steps, features = known.shape[1], self.groups(static, series)
        x = at_every_step(x, features)
        if targets is not None:
            true = torch.cat([(targets - location) / scale, known], -1)[:, :-1]
            y, _ = self.recurrent(torch.cat([x, at_every_step(true, features)], 1))
            return self.likelihood.shifted(self._read(y[:, -steps:], known), location, scale)
        y, state = self.recurrent(x)
        params = [self._read(y[:, -1:], known[:, :1])]
        for step in range(1, steps):
            own = torch.cat([self.likelihood.point(params[-1]), known[:, step - 1 : step]], -1)
            y, state = self.recurrent(at_every_step(own, features), state)
            params.append(self._read(y, known[:, step : step + 1]))
        return self.likelihood.shifted(torch.cat(params, 1), location, scale)

    def _read(self, y: Tensor, known: Tensor) -> Tensor:
        """Return the parameters ``(batch, steps, output, size)`` of steps from the outputs at those before them."""
        outputs: Tensor = self.read_out(torch.cat([y, known], -1))
        return self._params(outputs, y.shape[1])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Load weights; the last layer of earlier versions did not read what is known of the step to forecast."""
        name, narrow = f"{prefix}read_out.weight", self.recurrent.output_size
        if getattr(state_dict.get(name), "shape", None) == (self.read_out.out_features, narrow):
            state_dict[name] = F.pad(state_dict[name], (0, self.read_out.in_features - narrow))
        super()._load_from_state_dict(state_dict, prefix, *others)
