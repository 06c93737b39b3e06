"""``seqmodels explain what=gradients``: gradient flow through time before, during and after training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from seqmodels.errors import ConfigError
from seqmodels.inspection.finding import Finding
from seqmodels.inspection.flow import LayerFlow, backward_through, flow_of, over_time
from seqmodels.inspection.jacobians import Array
from seqmodels.inspection.recording import recorded
from seqmodels.inspection.report.history import Curve, read_history
from seqmodels.inspection.subject import Rows, Subject
from seqmodels.tasks import Task
from seqmodels.training.checkpointing import build_task

COLUMNS = {"half_life": "half-life in steps", "exponent": "Lyapunov exponent per step"}
PREFIX = "gradient_flow"


def explain(subject: Subject, rows: Rows, config: DictConfig) -> Finding:
    """Show how far gradients reach through time in a trained model, and in the same one before its training.

    Raises:
        ConfigError: the threshold is not above 1, or the model has no recurrent layer that runs over several steps.
    """
    threshold = config.threshold
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not threshold > 1:
        raise ConfigError(f"threshold must be a number above 1, got {threshold!r}")
    flows = {"after training": _flows(subject.task, rows)}
    if (untrained := _untrained(subject)) is not None:
        flows = {"before training": _flows(untrained, rows), **flows}
    course = _course(subject.folder)
    unknown = "" if rows.labelled else " The rows have no targets, so the direction of each gradient is random."
    return Finding(
        f"Gradient flow through time of {subject.recipe['config'].get('name', 'a model')}",
        _sentence(flows, threshold) + unknown,
        {**_arrays(flows), **_logged(course)},
        _figures(flows, course),
    )


def _sentence(flows: Mapping[str, Sequence[LayerFlow]], threshold: float) -> str:
    """Return the verdict on the cell whose gradients change most, and what there is to say about the others."""
    after = flows["after training"]
    worst = max(range(len(after)), key=lambda place: abs(after[place].log10_total))
    parts = [after[worst].sentence(threshold)]
    if others := [each for place, each in enumerate(after) if place != worst]:
        verdicts = [each.verdict(threshold) for each in others]
        counts = [f"{verdicts.count(kind)} {kind}" for kind in dict.fromkeys(verdicts)]
        parts.append(f"Of the other cells {', '.join(counts)}.")
    if "before training" in flows:
        earlier = flows["before training"][worst]
        parts.append(f"Before training this cell was {earlier.verdict(threshold)}: 1e{earlier.log10_total:+.1f}.")
    return " ".join(parts)


def _flows(task: Task[Any], rows: Rows) -> list[LayerFlow]:
    """Return the flow of each cell, with the training loss where targets are known."""
    batch = rows.batch
    try:
        if rows.labelled:
            return [flow_of(each) for each in backward_through(task.model, lambda: task.measure(batch, "train"))]
        with recorded(task.model) as recordings, torch.no_grad():
            task.records(batch, rows.subject.recipe["class_names"])
        return [flow_of(each) for each in over_time(recordings)]
    except ValueError as error:
        raise ConfigError(f"what=gradients: {error}") from error


def _untrained(subject: Subject) -> Task[Any] | None:
    """Return the model as it was drawn before its training; None if its seed is unknown."""
    config = subject.recipe["config"]
    if not isinstance(config.get("seed"), int) or "optimizer" not in config:
        return None
    with torch.random.fork_rng():
        torch.manual_seed(config["seed"])
        task = build_task(DictConfig(config), subject.recipe["sizes"], subject.recipe.get("preprocessing"))
    return task.eval()


def _course(folder: Path | None) -> dict[str, Curve]:
    """Return what the callback ``gradient_flow`` logged during training, by column; nothing if it was not used."""
    history = {} if folder is None else read_history(folder)
    wanted = tuple(f"{PREFIX}/{key}/" for key in COLUMNS)
    return {name.removeprefix(f"{PREFIX}/"): curve for name, curve in history.items() if name.startswith(wanted)}


def _arrays(flows: Mapping[str, Sequence[LayerFlow]]) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for when, each in ((when, each) for when, layers in flows.items() for each in layers):
        place = f"{when}/{each.name}"
        arrays |= {f"{place}/gradient of {field}": norms for field, norms in each.gradients.items()}
        arrays |= {
            f"{place}/steps back": each.jacobians.steps_back,
            f"{place}/log10 of Jacobian norm": each.jacobians.log10,
            f"{place}/log10 of memory": each.memory,
            f"{place}/half-life": each.half_lives,
            f"{place}/Lyapunov exponent": each.exponents,
            f"{place}/length": each.lengths,
        }
    return arrays


def _logged(course: Mapping[str, Curve]) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, curve in course.items():
        arrays |= {f"during training/{name}": np.array(curve.values)}
        arrays |= {f"during training/{name}/step": np.array(curve.steps)}
    return arrays


def _figures(flows: Mapping[str, Sequence[LayerFlow]], course: Mapping[str, Curve]) -> dict[str, dict[str, Any]]:
    """Return the curves of all cells, the median of the sequences; before training they are dashed."""
    gradients, jacobians, memories = [], [], []
    for when, each in ((when, each) for when, layers in flows.items() for each in layers):
        style = {"mode": "lines", "line": {"dash": "dot"} if when.startswith("before") else {}}
        for field, norms in each.gradients.items():
            back, middle = _from_the_end(np.log10(np.where(norms > 0, norms, np.nan)), each.lengths)
            gradients.append({"x": back, "y": middle, "name": f"{each.name} {field}, {when}", **style})
        label = f"{each.name}, {when}"
        jacobians.append({"x": each.jacobians.steps_back, "y": _median(each.jacobians.log10), "name": label, **style})
        memories.append({"x": np.arange(each.memory.shape[1]), "y": _median(each.memory), "name": label, **style})
    figures = {
        "Jacobian of the last state with respect to earlier ones": _layout(jacobians, "log10 of spectral norm"),
        "Gradient of the last output": _layout(memories, "log10 of norm, relative to its first step"),
        "Gradient of the loss with respect to each state": _layout(gradients, "log10 of norm"),
    }
    for key, title in COLUMNS.items():
        lines = [
            {"x": curve.steps, "y": curve.values, "name": name.split("/")[-1], "mode": "lines+markers"}
            for name, curve in course.items()
            if name.startswith(f"{key}/")
        ]
        if lines:
            figures[f"During training: {title}"] = _layout(lines, title, "training step")
    return figures


def _from_the_end(values: Array, lengths: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], Array]:
    """Return the steps from the end of each sequence, and the median of the sequences that reach them."""
    back = np.arange(values.shape[1])
    at = lengths[:, None] - 1 - back
    aligned = np.where(at >= 0, np.take_along_axis(values, np.maximum(at, 0), axis=1), np.nan)
    return back, _median(aligned)


def _median(values: Array) -> Array:
    """Return the median over the first axis of what is known; NaN where nothing is."""
    known = ~np.isnan(values).all(0)
    middle = np.full(values.shape[1], np.nan)
    middle[known] = np.nanmedian(values[:, known], axis=0)
    return middle


def _layout(traces: list[dict[str, Any]], title: str, across: str = "steps back from the last") -> dict[str, Any]:
    return {
        "data": [{"type": "scatter", **trace} for trace in traces],
        "layout": {"xaxis": {"title": {"text": across}}, "yaxis": {"title": {"text": title}}, "showlegend": True},
    }
