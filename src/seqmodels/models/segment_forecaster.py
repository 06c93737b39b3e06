"""SegRNN: a recurrent network that reads and forecasts a series segment by segment."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.backends import unroll
from seqmodels.layers.stack import CellFactory
from seqmodels.models.forecaster import Forecaster
from seqmodels.models.group_features import GroupFeatures
from seqmodels.models.likelihoods import Likelihood
from seqmodels.models.sequence_network import Initializer
from seqmodels.models.window_scaling import Normalization, scaled
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

    The paper reads nothing but the series. Where there is more, a linear layer without bias adds it to the embedding of
    a segment: other features of its steps to :math:`W x_n + b`, what is known of the future steps to the learnt vector,
    the features of the group to both.

    Args:
        cell: makes a cell from an input size, as ``partial(ResetAfterGRUCell, hidden_size=512)`` does.
        input_size: features of a step: the series, other features, what is known of the future.
        output_size: number of series to forecast, the first features.
        horizon: number of steps to forecast.
        known_size, static_size, series, series_embedding: as in
            :class:`~seqmodels.models.forecaster.RecurrentForecaster`.
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
        known_size: int = 0,
        static_size: int = 0,
        series: int = 1,
        series_embedding: int = 0,
        segment: int = 24,
        embedding_size: int = 512,
        dropout: float = 0.1,
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
        if segment < 1 or embedding_size < 2 or embedding_size % 2:
            raise ValueError(f"segment must be at least 1 and embedding_size even, got {segment} and {embedding_size}")
        self.segment = segment
        self.backend = backend
        self.embedding = nn.Linear(segment, embedding_size)
        self.cell = cell(embedding_size)
        self.position = nn.Parameter(torch.randn(-(-horizon // segment), embedding_size // 2))
        self.channel = nn.Parameter(torch.randn(output_size, embedding_size // 2))
        self.dropout = nn.Dropout(dropout)
        self.read_out = nn.Linear(self.cell.output_size, segment * self.likelihood.size)
        self.past = _added(segment * (input_size - output_size), embedding_size)
        self.future = _added(segment * known_size, embedding_size)
        self.group = _added(self.groups.size, embedding_size)
        if initializer is not None:
            initializer(self)

    def forward(
        self,
        inputs: Tensor,
        known: Tensor | None = None,
        targets: Tensor | None = None,  # noqa: ARG002
        static: Tensor | None = None,
        series: Tensor | None = None,
    ) -> Tensor:
        x, location, scale = scaled(inputs, self.output_size, self.normalization)
        features = self.groups(static, series)
        group = 0 if features is None or self.group is None else self.group(features)[:, None, None]
        query = self._query(known, group).expand(x.shape[0], -1, -1, -1)
        outputs = self._forecast(self._read(x, group), query)
        return self.likelihood.shifted(self.likelihood.constrained(outputs), location, scale)

    def _read(self, x: Tensor, group: Tensor | int) -> Any:
        """Return the cell's state after ``x (batch, time, input)``, for ``batch * output`` series."""
        time = x.shape[1]
        if time < self.segment:
            raise ValueError(f"inputs must have at least one segment of {self.segment} steps, got {time}")
        whole, others = x[:, time % self.segment :].split([self.output_size, x.shape[2] - self.output_size], 2)
        embedded = self.embedding(whole.transpose(1, 2).unflatten(2, (-1, self.segment))) + group
        if self.past is not None:
            embedded = embedded + self.past(self._segments(others))[:, None]
        _, state = unroll(self.cell, F.relu(embedded.flatten(0, 1)), backend=self.backend)
        return state

    def _query(self, known: Tensor | None, group: Tensor | int) -> Tensor:
        """Return the inputs ``(batch or 1, output, segments, embedding)`` of the future segments."""
        segments, series = len(self.position), self.output_size
        halves = self.position.expand(series, -1, -1), self.channel[:, None].expand(-1, segments, -1)
        query: Tensor = torch.cat(halves, -1)[None] + group
        if self.future is None:
            return query
        if known is None:
            raise ValueError("known must hold what is known of the future, got None")
        beyond = segments * self.segment - self.horizon
        added: Tensor = self.future(self._segments(F.pad(known, (0, 0, 0, beyond))))
        return query + added[:, None]

    def _segments(self, steps: Tensor) -> Tensor:
        """Return ``steps (batch, segments * segment, features)`` as ``(batch, segments, segment * features)``."""
        segments: Tensor = steps.unflatten(1, (-1, self.segment)).flatten(2)
        return segments

    def _forecast(self, state: Any, query: Tensor) -> Tensor:
        """Return outputs ``(batch, horizon, output, size)`` from the state of each series."""
        batch, series, segments, _ = query.shape
        start = map_leaves(lambda leaf: leaf.repeat_interleave(segments, 0), state)
        y, _ = unroll(self.cell, query.reshape(batch * series * segments, 1, -1), start, backend=self.backend)
        outputs: Tensor = self.read_out(self.dropout(y[:, 0]))
        outputs = outputs.view(batch, series, segments * self.segment, self.likelihood.size)
        return outputs[:, :, : self.horizon].transpose(1, 2)


def _added(input_size: int, embedding_size: int) -> nn.Linear | None:
    """Return a layer for features that are added to an embedding; None without features."""
    return nn.Linear(input_size, embedding_size, bias=False) if input_size else None
