"""Recurrent networks that forecast series: all steps at once, or one after the other."""

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
    """What forecasts: ``(inputs, known) -> numbers about each value to come``, read by a :class:`Likelihood`."""

    likelihood: Likelihood
    output_size: int

    @abstractmethod
    def forward(self, inputs: Tensor, known: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return numbers ``(batch, horizon, output, likelihood.size)`` about the values to come.

        Args:
            inputs: ``(batch, time, input)``, the series to forecast first.
            known: ``(batch, horizon, known)``, what is known of the steps to come; 0 numbers a step where nothing is.
            targets: ``(batch, horizon, output)``, given in training alone, to a network that may look at them:
                a step is then forecast from the true steps before it.
        """


class _Recurrent(Forecaster, ABC):
    """Recurrent layers over windows, each on a scale of its own.

    Args:
        cell: makes a cell from an input size, as ``partial(GRUCell, hidden_size=128)`` does; or one for each layer.
        input_size: numbers of a step that are read: the series, other features, the calendar.
        output_size: series that are forecast, the first of them.
        known_size: numbers of a step that are known of the future: the calendar.
        horizon: steps that are forecast.
        hidden_sizes, depth, dropout, residual, initializer, backend: as in
            :class:`~seqmodels.models.SequenceNetwork`.
        normalization: ``none``, ``last`` (subtract each window's last value) or ``window`` (its mean, over its
            deviation); undone in what is forecast.
        likelihood: what is said of each value.
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
        """Return the layer that reads the recurrent ones."""

    def _numbers(self, outputs: Tensor, steps: int) -> Tensor:
        """Return outputs as numbers ``(batch, steps, output, size)``."""
        return self.likelihood.constrained(outputs.view(len(outputs), steps, self.output_size, self.likelihood.size))


class DirectForecaster(_Recurrent):
    """Forecasts all steps at once from what the layers have seen of the window; options as for all forecasters."""

    def _read_out(self, input_size: int, known_size: int) -> nn.Linear:  # noqa: ARG002
        values = self.horizon * self.output_size * self.likelihood.size
        return nn.Linear(self.recurrent.output_size + self.horizon * known_size, values)

    def forward(self, inputs: Tensor, known: Tensor, targets: Tensor | None = None) -> Tensor:  # noqa: ARG002
        x, location, scale = scaled(inputs, self.output_size, self.normalization)
        y, _ = self.recurrent(x)
        outputs = self.read_out(torch.cat([y[:, -1], known.flatten(1)], 1))
        return self.likelihood.shifted(self._numbers(outputs, self.horizon), location, scale)


class RecursiveForecaster(_Recurrent):
    """Forecasts one step, reads its own forecast as the next input, and so on, however far ``known`` reaches.

    In training each step is forecast from the true ones before it (teacher forcing).

    Raises:
        ValueError: inputs hold features whose future is not known.
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
            return self.likelihood.shifted(self._numbers(self.read_out(y[:, -steps:]), steps), location, scale)
        y, state = self.recurrent(x)
        numbers = [self._numbers(self.read_out(y[:, -1]), 1)]
        for step in range(steps - 1):
            own = self.likelihood.point(numbers[-1])
            y, state = self.recurrent(torch.cat([own, known[:, step : step + 1]], -1), state)
            numbers.append(self._numbers(self.read_out(y[:, -1]), 1))
        return self.likelihood.shifted(torch.cat(numbers, 1), location, scale)
