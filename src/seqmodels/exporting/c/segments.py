"""SegRNN in C: each series is read segment by segment, and all future segments are forecast from its last state."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.exporting.c.forecasting import Forecasting, Head
from seqmodels.exporting.c.layers import Rows
from seqmodels.exporting.c.traced import Traced, traced_function
from seqmodels.models import SegmentForecaster


@dataclass(frozen=True)
class Segments:
    """How segments become inputs of the cell.

    Attributes:
        length: steps of a segment.
        others: features of a step beside the series.
        read: of the values of a series, the other features of their steps, and the group.
        asked: of the learnt vector of a series and a future segment, what is known of its steps, and the group.
        vectors: these vectors, ``(series * segments, embedding)``.
        carry: floats of a state of the cell.
        features: of its output.
    """

    length: int
    others: int
    read: Traced
    asked: Traced
    vectors: Tensor
    carry: int
    features: int


class _Embedded(nn.Module):
    """The sum of a first part and of linear functions of others, which lie side by side."""

    def __init__(self, first: nn.Module, size: int, others: list[nn.Linear | None], *, relu: bool) -> None:
        super().__init__()
        self.first, self.size, self.relu = first, size, relu
        self.others = nn.ModuleList([one for one in others if one is not None])

    def forward(self, x: Tensor) -> Tensor:
        found, start = self.first(x[:, : self.size]), self.size
        for one in self.others:
            width: Any = one.in_features
            found, start = found + one(x[:, start : start + width]), start + width
        return F.relu(found) if self.relu else found


def segments_of(model: SegmentForecaster, cell: Traced) -> Segments:
    """Take what is around the cell of a model apart."""
    length, embedding = model.segment, model.embedding.out_features
    read = _Embedded(model.embedding, length, [model.past, model.group], relu=True)
    asked = _Embedded(nn.Identity(), embedding, [model.future, model.group], relu=False)
    number, size = len(model.position), model.output_size
    halves = model.position.expand(size, -1, -1), model.channel[:, None].expand(-1, number, -1)
    return Segments(
        length,
        _width(model.past) // length,
        traced_function(read, length + _width(model.past) + _width(model.group)),
        traced_function(asked, embedding + _width(model.future) + _width(model.group)),
        torch.cat(halves, -1).flatten(0, 1).detach().float().cpu(),
        len(cell.initial),
        cell.output_size,
    )


def segment_head(model: SegmentForecaster, part: Forecasting, cell: Traced) -> Traced:
    """Return the output layer: the steps of one segment of one series, from features, location and scale."""
    own = replace(part, series=1, horizon=model.segment, known=0, segments=None)
    return traced_function(Head(model, own), cell.output_size + own.scaling)


def _width(layer: nn.Linear | None) -> int:
    return 0 if layer is None else layer.in_features


class Memory(NamedTuple):
    """Where rows of a run lie, or, from :func:`sizes_of`, how many floats they have."""

    given: Any  # a segment, or a vector with what is known, beside the group
    embedded: Any  # what the cell reads
    features: Any  # what it writes, and location and scale
    own: Any  # the forecast of a segment
    kept: Any  # the state after the window
    location: Any  # of the window; its scale follows
    scale: Any


def sizes_of(part: Forecasting) -> Memory:
    """Return how many floats of memory a run needs."""
    found = part.segments
    assert found is not None
    given = max(found.read.input_size, found.asked.input_size)
    own = found.length * part.params // part.series
    return Memory(given, found.read.output_size, found.features + 2, own, found.carry, part.series, part.series)


def run_segments(
    part: Forecasting, memory: Memory, source: Rows, *, name: str, constants: str, vectors: int
) -> Iterator[str]:
    """Yield the forecast of each series.

    Args:
        part: of the forecaster.
        memory: where rows lie.
        source: rows of the window, normalised.
        name: what the functions of the model begin with.
        constants: arguments with which each function begins.
        vectors: where those of the future segments begin.
    """
    found = part.segments
    assert found is not None
    given, embedded, features, own, kept, location, scale = memory
    length, series, others = found.length, part.series, found.others
    size, number = part.params // series, len(found.vectors) // series
    width = found.vectors.shape[1]
    group = f"s->beside + {part.horizon * part.known}, {part.group} * sizeof(float));"
    yield f"  for (size_t c = 0; c < {series}; c++) {{"
    yield f"    {name}_reset(s);"
    yield f"    for (size_t t = steps % {length}; t < steps; t += {length}) {{"
    yield f"      for (size_t j = 0; j < {length}; j++) {{"
    row = f"{source.base} + (t + j) * {source.stride}"
    yield f"        ({given})[j] = ({row})[c];"
    if others:
        yield f"        memcpy({given} + {length} + j * {others}, {row} + {series}, {others} * sizeof(float));"
    yield "      }"
    if part.group:
        yield f"      memcpy({given} + {length * (1 + others)}, {group}"
    yield f"      read_segment({constants}, {given}, s->carry, {embedded}, s->work);"
    yield f"      layer0({constants}, {embedded}, s->carry, {features}, s->work);\n    }}"
    yield f"    memcpy({kept}, s->carry, {found.carry} * sizeof(float));"
    yield f"    for (size_t m = 0; m < {number}; m++) {{"
    yield f"      memcpy(s->carry, {kept}, {found.carry} * sizeof(float));"
    yield f"      memcpy({given}, s->floats + {vectors} + (c * {number} + m) * {width}, {width} * sizeof(float));"
    if part.known:
        yield f"      for (size_t j = 0; j < {length * part.known}; j++) {{"
        yield f"        const size_t at = m * {length * part.known} + j;"
        yield f"        ({given})[{width} + j] = at < {part.horizon * part.known} ? s->beside[at] : 0.0f;\n      }}"
    if part.group:
        yield f"      memcpy({given} + {width + length * part.known}, {group}"
    yield f"      ask_segment({constants}, {given}, s->carry, {embedded}, s->work);"
    yield f"      layer0({constants}, {embedded}, s->carry, {features}, s->work);"
    if part.scaling:
        yield f"      ({features})[{found.features}] = ({location})[c];"
        yield f"      ({features})[{found.features + 1}] = ({scale})[c];"
    yield f"      output_layer({constants}, {features}, s->carry, {own}, s->work);"
    yield f"      for (size_t j = 0; j < {length} && m * {length} + j < {part.horizon}; j++)"
    yield f"        for (size_t k = 0; k < {size}; k++)"
    yield f"          y[((m * {length} + j) * {series} + c) * {size} + k] = ({own})[j * {size} + k];"
    yield "    }\n  }"
