"""Recurrent networks that forecast time series: all steps at once, or one after the other."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqmodels.layers import recurrent_stack
from seqmodels.layers.stack import CellFactory
from seqmodels.models.likelihoods import Likelihood, PointForecast
from seqmodels.models.sequence_network import Initializer
from seqmodels.models.window_scaling import Normalization, check_normalization, scaled


class Forecaster(nn.Module, ABC):
    """Base of networks that forecast: they predict the parameters of a likelihood for each future value.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> from seqmodels.models import DirectForecaster
        >>> model = DirectForecaster(GRUCell, input_size=2, output_size=2, horizon=3, hidden_sizes=[5])
        >>> isinstance(model, Forecaster), model.likelihood.size
        (True, 1)
    """

    likelihood: Likelihood
    output_size: int

    @abstractmethod
    def forward(self, inputs: Tensor, known: Tensor, targets: Tensor | None = None) -> Tensor:
        """Predict the parameters of the likelihood of the future values.

        Args:
            inputs: ``(batch, time, input)``, the series to forecast being the first features.
            known: ``(batch, horizon, known)``, what is known of the future, such as the calendar; ``known`` may be 0.
            targets: ``(batch, horizon, output)``, in training alone: a step may then be forecast from the true steps
                before it.

        Returns:
            Parameters ``(batch, horizon, output, likelihood.size)``.
        """


class RecurrentForecaster(Forecaster, ABC):
    """Recurrent layers over windows, each window normalised separately, and a linear read-out.

    Args:
        cell: makes a cell from an input size, as ``partial(GRUCell, hidden_size=128)`` does; or a sequence of such
            factories, one for each layer.
        input_size: features of a step: the series, other features, the calendar.
        output_size: number of series to forecast, the first features.
        horizon: number of steps to forecast.
        known_size: features of a step that are known of the future: the calendar.
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
        hidden_sizes: Sequence[int] | None = None,
        depth: int | None = None,
        dropout: float = 0.0,
        residual: bool = False,
        normalization: Normalization = "last",
        likelihood: Likelihood | None = None,
        initializer: Initializer | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_normalization(normalization)
        self.output_size = output_size
        self.horizon = horizon
        self.normalization = normalization
        self.likelihood = PointForecast() if likelihood is None else likelihood
        self.recurrent = recurrent_stack(
            cell,
            input_size,
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
        return self.likelihood.constrained(outputs.view(len(outputs), steps, self.output_size, self.likelihood.size))


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

    def forward(self, inputs: Tensor, known: Tensor, targets: Tensor | None = None) -> Tensor:  # noqa: ARG002
        x, location, scale = scaled(inputs, self.output_size, self.normalization)
        y, _ = self.recurrent(x)
        outputs = self.read_out(torch.cat([y[:, -1], known.flatten(1)], 1))
        return self.likelihood.shifted(self._params(outputs, self.horizon), location, scale)


class RecursiveForecaster(RecurrentForecaster):
    """Forecasts one step, reads its own forecast as the next input, and so on for all steps of ``known``.

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
                "the inputs are features that nobody forecasts: make them targets, or forecast directly "
                "(model=forecaster)"
            )
        return nn.Linear(self.recurrent.output_size, self.output_size * self.likelihood.size)

    def forward(self, inputs: Tensor, known: Tensor, targets: Tensor | None = None) -> Tensor:
        x, location, scale = scaled(inputs, self.output_size, self.normalization)
        steps = known.shape[1]
        if targets is not None:
            true = torch.cat([(targets - location) / scale, known], -1)[:, :-1]
            y, _ = self.recurrent(torch.cat([x, true], 1))
            return self.likelihood.shifted(self._params(self.read_out(y[:, -steps:]), steps), location, scale)
        y, state = self.recurrent(x)
        params = [self._params(self.read_out(y[:, -1]), 1)]
        for step in range(steps - 1):
            own = self.likelihood.point(params[-1])
            y, state = self.recurrent(torch.cat([own, known[:, step : step + 1]], -1), state)
            params.append(self._params(self.read_out(y[:, -1]), 1))
        return self.likelihood.shifted(torch.cat(params, 1), location, scale)
