"""SegRNN: a recurrent network that reads and forecasts a series segment by segment."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.backends import unroll
from seqmodels.layers.stack import CellFactory
from seqmodels.models.forecaster import Forecaster
from seqmodels.models.likelihoods import Likelihood, PointForecast
from seqmodels.models.sequence_network import Initializer
from seqmodels.models.window_scaling import Normalization, check_normalization, scaled
from seqmodels.sequence import map_leaves


class SegmentForecaster(Forecaster):
    r"""SegRNN (Lin et al., 2023, arXiv 2308.11200) over any cell.

    Each series is read separately, with shared weights, in segments :math:`x_n` of ``segment`` steps:

    .. math::

        h_n = \mathrm{cell}(\mathrm{ReLU}(W x_n + b), h_{n-1})

    From the last state, all future segments are forecast at once (parallel multi-step forecasting), each by one more
    step of the same cell. The input of that step is a learnt vector, one half of which encodes the segment and the
    other the series; a linear layer maps its output to the steps of the segment. If the window is not a whole number of
    segments, the oldest steps are ignored; steps past the horizon are cut off.

    Args:
        cell: makes a cell from an input size, as ``partial(ResetAfterGRUCell, hidden_size=512)`` does.
        input_size, output_size: number of series; they must be equal, as nothing else is read.
        horizon: number of steps to forecast.
        segment: steps of a segment.
        embedding_size: size of an embedded segment, the input of the cell; even.
        dropout: probability that a feature of the input of the last layer is zeroed.
        normalization, likelihood: as in :class:`~seqmodels.models.forecaster.RecurrentForecaster`.
        initializer, backend: as in :class:`~seqmodels.models.SequenceNetwork`.

    Raises:
        ValueError: sizes do not fit each other.

    Example:
        >>> from functools import partial
        >>> from seqmodels.cells import GRUCell
        >>> cell = partial(GRUCell, hidden_size=5)
        >>> model = SegmentForecaster(cell, input_size=2, output_size=2, horizon=3, segment=2, embedding_size=4)
        >>> model(torch.zeros(4, 7, 2)).shape
        torch.Size([4, 3, 2, 1])
    """

    def __init__(
        self,
        cell: CellFactory,
        *,
        input_size: int,
        output_size: int,
        horizon: int,
        segment: int = 24,
        embedding_size: int = 512,
        dropout: float = 0.1,
        normalization: Normalization = "last",
        likelihood: Likelihood | None = None,
        initializer: Initializer | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_normalization(normalization)
        if input_size != output_size:
            raise ValueError(
                f"a segment forecaster reads nothing but the {output_size} series it forecasts, got {input_size} "
                "inputs: leave data.features and data.calendar empty"
            )
        if segment < 1 or embedding_size < 2 or embedding_size % 2:
            raise ValueError(f"segment must be at least 1 and embedding_size even, got {segment} and {embedding_size}")
        self.output_size = output_size
        self.horizon = horizon
        self.segment = segment
        self.normalization = normalization
        self.likelihood = PointForecast() if likelihood is None else likelihood
        self.backend = backend
        self.embedding = nn.Linear(segment, embedding_size)
        self.cell = cell(embedding_size)
        self.position = nn.Parameter(torch.randn(-(-horizon // segment), embedding_size // 2))
        self.channel = nn.Parameter(torch.randn(output_size, embedding_size // 2))
        self.dropout = nn.Dropout(dropout)
        self.read_out = nn.Linear(self.cell.output_size, segment * self.likelihood.size)
        if initializer is not None:
            initializer(self)

    def forward(self, inputs: Tensor, known: Tensor | None = None, targets: Tensor | None = None) -> Tensor:  # noqa: ARG002
        x, location, scale = scaled(inputs, self.output_size, self.normalization)
        outputs = self._forecast(self._read(x), len(x))
        return self.likelihood.shifted(self.likelihood.constrained(outputs), location, scale)

    def _read(self, x: Tensor) -> Any:
        """Return the cell's state after ``x (batch, time, output)``, for ``batch * output`` series."""
        batch, time, _ = x.shape
        if time < self.segment:
            raise ValueError(f"inputs must have at least one segment of {self.segment} steps, got {time}")
        whole = x[:, time % self.segment :].transpose(1, 2).reshape(batch * self.output_size, -1, self.segment)
        _, state = unroll(self.cell, F.relu(self.embedding(whole)), backend=self.backend)
        return state

    def _forecast(self, state: Any, batch: int) -> Tensor:
        """Return outputs ``(batch, horizon, output, size)`` from the state of each series."""
        series, segments, size = self.output_size, len(self.position), self.likelihood.size
        halves = self.position.expand(series, -1, -1), self.channel[:, None].expand(-1, segments, -1)
        query = torch.cat(halves, -1)  # (series, segments, embedding)
        query = query.expand(batch, -1, -1, -1).reshape(batch * series * segments, 1, -1)
        start = map_leaves(lambda leaf: leaf.repeat_interleave(segments, 0), state)
        y, _ = unroll(self.cell, query, start, backend=self.backend)
        outputs: Tensor = self.read_out(self.dropout(y[:, 0])).view(batch, series, segments * self.segment, size)
        return outputs[:, :, : self.horizon].transpose(1, 2)
