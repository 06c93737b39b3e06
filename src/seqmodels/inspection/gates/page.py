"""``seqmodels explain what=gates``."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from omegaconf import DictConfig
from torch import Tensor

from seqmodels.data.series.windows import ForecastBatch
from seqmodels.data.statistics.rows import inputs_of, lengths_of
from seqmodels.data.text.pairs.batch import PairBatch
from seqmodels.inspection.charts import Figure, bars, heat_map, lines, over_each_other, points
from seqmodels.inspection.finding import Finding
from seqmodels.inspection.gates.traces import LayerTrace, traces_of
from seqmodels.inspection.gates.units import Follower, followers, real_steps, saturation, text_properties
from seqmodels.inspection.inputs import feature_names, pieces_of
from seqmodels.inspection.recording import recorded
from seqmodels.inspection.report.blocks import Block, Section, Table, Text
from seqmodels.inspection.subject import Rows, Subject
from seqmodels.tasks import Task

SHOWN = 64  # units of a heat map, evenly spaced
STEPS = 300  # of a heat map
LAYERS = 4  # that are drawn
BINS = 20


def explain(subject: Subject, rows: Rows, config: DictConfig) -> Finding:  # noqa: ARG001
    """Return the gates and states of every recurrent layer over the rows of a batch, and what single units follow."""
    batch = rows.batch
    layers = layers_of(subject.task, batch)
    tokens = not inputs_of(batch).is_floating_point()
    pieces = pieces_of(batch, subject.vocabulary) if tokens else None
    properties = properties_of(batch, pieces, subject.known_preprocessing)
    row = int(lengths_of(batch).argmax())  # the longest
    figures: dict[str, Figure] = {}
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    sections, found = list[Section](), list[tuple[str, str, Follower]]()
    for layer in layers[:LAYERS]:
        own = _followers(layer, properties, lengths_of(batch))
        found += own
        figures |= _figures(layer, row, None if pieces is None else pieces[row], own, properties)
        arrays |= _arrays(layer, row)
        sections.append(_table(layer, own))
    return Finding("Gates and states", _sentence(layers, found), arrays, figures, sections)


def layers_of(task: Task[Any], batch: Any) -> list[LayerTrace]:
    """Return the gates and states of the recurrent layers of a task's network over a batch.

    Of a network that writes a sequence, they are those of its encoder.
    """
    with recorded(task.model) as recordings, torch.no_grad():
        run_network(task, batch)
    return traces_of(recordings)


def run_network(task: Task[Any], batch: Any) -> Any:
    """Run the network of a task over a batch, up to what it writes or forecasts step by step."""
    if isinstance(batch, ForecastBatch):
        return task.model(batch.inputs, batch.known, None, batch.static, batch.series)
    if isinstance(batch, PairBatch):
        model: Any = task.model
        embedding = model.decoder.embedding if model.source_embedding is None else model.source_embedding
        return model.encoder(embedding(batch.inputs), None, batch.lengths)
    if batch.lengths is None:
        return task.model(batch.inputs)
    return task.model(batch.inputs, lengths=batch.lengths)


def properties_of(batch: Any, pieces: list[list[str]] | None, preprocessing: Any) -> dict[str, Tensor]:
    """Return what units may follow, ``(batch, time)`` each: of texts, or the position and each feature."""
    if pieces is not None:
        return text_properties(pieces)
    inputs = inputs_of(batch)
    names = feature_names(preprocessing, inputs.shape[2])
    position = torch.arange(inputs.shape[1]).float().expand(len(inputs), -1)
    return {"position": position, **dict(zip(names, inputs.unbind(2), strict=True))}


def _followers(layer: LayerTrace, properties: dict[str, Tensor], lengths: Tensor) -> list[tuple[str, str, Follower]]:
    """Return the units of a layer that follow a property, each with the layer and the gate or state it is in."""
    time = next(iter(layer.states.values())).shape[1]
    if any(values.shape != (len(lengths), time) for values in properties.values()) or int(lengths.sum()) < 4:
        return []  # a layer over something else, such as the characters of words, or a convolution's shorter output
    found = []
    for name, values in (layer.gates | layer.states).items():
        if values.dim() == 3:
            found += [(layer.name, name, each) for each in followers(values, properties, lengths)]
    best: dict[str, tuple[str, str, Follower]] = {}
    for each in sorted(found, key=lambda entry: -abs(entry[2].held_out)):
        best.setdefault(each[2].property, each)
    return list(best.values())


def _figures(
    layer: LayerTrace,
    row: int,
    pieces: list[str] | None,
    found: list[tuple[str, str, Follower]],
    properties: dict[str, Tensor],
) -> dict[str, Figure]:
    """Draw the gates and states of a layer over one row, and how its gates are saturated over all."""
    row = min(row, len(layer.lengths) - 1)
    length = min(int(layer.lengths[row]), STEPS)
    fits = pieces is not None and len(pieces) >= length
    names = [repr(piece)[1:-1] for piece in (pieces or [])[:length]] if fits else []
    figures, where = {}, layer.name
    for gate, values in layer.gates.items():
        shown = _some_units(values[row, :length])
        title = f"{where}: gate {gate}, row {row}"
        figures[title] = heat_map(shown.T.numpy(), x=names, limits=layer.ranges[gate])
    for state, values in layer.states.items():
        if values.dim() == 3:
            figures[f"{where}: state {state}, row {row}"] = heat_map(
                _some_units(values[row, :length]).T.numpy(), x=names
            )
    means = {gate: values[row, :length].mean(1).numpy() for gate, values in layer.gates.items()}
    if means:
        figures[f"{where}: mean of each gate over its units, row {row}"] = lines(means, x_title="step", y_title="mean")
    for entry in found[:1]:
        _, part, follower = entry
        values = (layer.gates | layer.states)[part][row, :length, follower.unit]
        title = f"{where}: unit {follower.unit} of {part} follows {follower.property} ({follower.held_out:+.2f})"
        beside = properties[follower.property][row, :length]
        figures[title] = lines({f"unit {follower.unit}": values.numpy()}, x_title="step", y_title=part)
        property_ = lines({follower.property: beside.numpy()}, x_title="step", y_title=follower.property)
        figures[title] = over_each_other(figures[title], property_)
    return figures | _saturation(layer)


def _saturation(layer: LayerTrace) -> dict[str, Figure]:
    """Return how often the units of bounded gates are at their ends, and histograms of their values."""
    bounded = {gate: bounds for gate, bounds in layer.ranges.items() if bounds is not None}
    if not bounded:
        return {}
    shares = dict[str, tuple[ArrayLike, ArrayLike]]()
    for gate, bounds in bounded.items():
        low, high = saturation(layer.gates[gate], bounds, layer.lengths)
        shares[gate] = low.numpy(), high.numpy()
    figures = {
        f"{layer.name}: how often each unit is closed and open": points(
            shares,
            x_title="share of steps within 0.1 of the lower end",
            y_title="of the upper end",
            limits=(0.0, 1.0),
        )
    }
    for least in sorted({bounds[0] for bounds in bounded.values()}):
        edges = np.linspace(least, 1.0, BINS + 1)
        counts = {}
        for gate, bounds in bounded.items():
            if bounds[0] == least:
                values = real_steps(layer.gates[gate], layer.lengths).numpy()
                counts[gate] = np.histogram(values, edges)[0] / values.size
        middle = [float(f"{edge:.3f}") for edge in (edges[:-1] + edges[1:]) / 2]
        figures[f"{layer.name}: values of gates from {least:g} to 1"] = bars(
            counts, x=middle, x_title="value", y_title="share of steps and units"
        )
    return figures


def _arrays(layer: LayerTrace, row: int) -> dict[str, Any]:
    """Return the traces of one row, with the shares of closed and open steps of each unit."""
    row = min(row, len(layer.lengths) - 1)
    length = min(int(layer.lengths[row]), STEPS)
    parts = {name: values[row, :length].numpy() for name, values in (layer.gates | layer.states).items()}
    found = {f"{layer.name}/{name}": values for name, values in parts.items()}
    for gate, bounds in layer.ranges.items():
        if bounds is not None:
            low, high = saturation(layer.gates[gate], bounds, layer.lengths)
            found |= {f"{layer.name}/{gate}/closed": low.numpy(), f"{layer.name}/{gate}/open": high.numpy()}
    return found


def _some_units(values: Tensor) -> Tensor:
    """Return at most so many units of ``(time, units)`` as a heat map shows."""
    units = values.shape[1]
    return values if units <= SHOWN else values[:, torch.linspace(0, units - 1, SHOWN).long()]


def _table(layer: LayerTrace, found: list[tuple[str, str, Follower]]) -> Section:
    """Return what units of a layer follow, and which gates have no values."""
    rows = [
        [follower.property, part, str(follower.unit), f"{follower.correlation:+.2f}", f"{follower.held_out:+.2f}"]
        for _, part, follower in found
    ]
    head = ["property", "gate or state", "unit", "correlation", "held out"]
    blocks: list[Block] = [Table(head, rows, left=2) if rows else Text("The rows are too few or too short.")]
    if layer.refused:
        blocks.append(Table(["gate without values", "reason"], [*map(list, layer.refused.items())], left=2))
    return Section(f"{layer.name}: units that follow a property of the input", blocks)


def _sentence(layers: list[LayerTrace], found: list[tuple[str, str, Follower]]) -> str:
    """Say what is saturated most, and which unit follows what."""
    shares = list[tuple[float, str]]()
    for layer in layers:
        for gate, bounds in layer.ranges.items():
            if bounds is not None:
                low, high = saturation(layer.gates[gate], bounds, layer.lengths)
                shares.append((float((low + high).mean()), f"gate {gate} of {layer.name}"))
    text = f"{len(layers)} recurrent cell{'s' * (len(layers) != 1)}"
    if shares:
        share, where = max(shares)
        text += f"; most saturated is {where}, {share:.0%} of whose values lie within 0.1 of an end of their range"
    if found:
        name, part, best = max(found, key=lambda entry: abs(entry[2].held_out))
        text += (
            f"; unit {best.unit} of {part} in {name} follows {best.property} most closely "
            f"(correlation {best.held_out:+.2f} on rows that it was not chosen by)"
        )
    return f"{text}."
