"""Sections about the training of a run: learning curves, learning rate and gradients, time and memory."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from seqmodels.inspection.report.blocks import Block, Figure, Figures, Table, Text
from seqmodels.inspection.report.figures import axis, curves, line
from seqmodels.inspection.report.history import Curve
from seqmodels.training.records.metrics import by_importance
from seqmodels.training.records.reading import Run

MOST = 6  # curves of metrics
STEEP = 30  # a loss that falls by such a factor is drawn over a logarithmic axis
NORM, RATE, SHARE = "gradient_norm/", "lr-", "gradient_flow/share"


def learning_curves(history: Mapping[str, Curve], run: Run) -> list[Block]:
    """Return the loss, then every metric of validation, beside that of training where there is one."""
    figures: list[Figure] = []
    names = ["loss", *(name.removeprefix("val/") for name in by_importance([*history]) if name.startswith("val/"))]
    for name in list(dict.fromkeys(names))[:MOST]:
        found = {stage: history[f"{stage}/{name}"] for stage in ("train", "val") if f"{stage}/{name}" in history}
        if found:
            figures.append(_learning_curve(name, found, run))
    if not figures:
        return [Text("There are no learning curves: metrics.csv, which the logger csv writes, is not there or empty.")]
    return [Figures(figures)]


def _learning_curve(name: str, found: Mapping[str, Curve], run: Run) -> Figure:
    by_epoch = all(curve.by_epoch for curve in found.values())
    traces = [
        line(curve.x if by_epoch else curve.steps, curve.values, stage, hovertemplate="%{y:.5g}")
        for stage, curve in found.items()
    ]
    best = run.best_epoch if by_epoch else run.metrics.get("best/step")
    layout: dict[str, Any] = {"hovermode": "x unified"}
    if best is not None:
        mark = {"type": "line", "x0": best, "x1": best, "y0": 0, "y1": 1, "yref": "paper"}
        layout["shapes"] = [mark | {"line": {"width": 1, "dash": "dot", "color": "#8a93a3"}}]
        note = {
            "x": best,
            "y": 1,
            "yref": "paper",
            "text": "best",
            "showarrow": False,
            "xanchor": "left",
            "yanchor": "top",
        }
        layout["annotations"] = [note]
    y = {"type": "log", "dtick": "D2"} if _steep(found.values()) and name == "loss" else {}
    return curves(
        f"curve_{name.replace('/', '_')}",
        traces,
        "epoch" if by_epoch else "step",
        name,
        yaxis=y,
        layout=layout,
        height=280,
    )


def _steep(found: Any) -> bool:
    values = [value for curve in found for value in curve.values if not math.isnan(value)]
    return bool(values) and min(values) > 0 and max(values) > STEEP * min(values)


def optimisation(history: Mapping[str, Curve]) -> list[Block]:
    """Return the learning rate and the norms of gradients over the steps."""
    rates = [
        line(c.steps, c.values, n.removeprefix(RATE), mode="lines") for n, c in history.items() if n.startswith(RATE)
    ]
    norms = [
        line(c.steps, c.values, n.removeprefix(NORM), mode="lines") for n, c in history.items() if n.startswith(NORM)
    ]
    figures: list[Figure] = []
    if rates:
        figures.append(curves("learning_rate", rates, "step", "learning rate", height=280))
    if norms:
        caption = "The norm of the gradient before clipping."
        figures.append(
            curves(
                "gradient_norm",
                norms,
                "step",
                "gradient norm",
                yaxis={"type": "log", "dtick": "D2"},
                caption=caption,
                height=280,
            )
        )
    return [Figures(figures)] if figures else []


def time_and_memory(record: Mapping[str, Any], history: Mapping[str, Curve]) -> list[Block]:
    """Return how long each phase took, what ``gradient_flow`` took of the training, and the most memory by its end."""
    phases: Mapping[str, Mapping[str, float]] = record.get("phases", {})
    if not phases:
        return []
    order = [name for name in ("training", "validation", "test") if name in phases]
    total = sum(phases[name]["seconds"] for name in order)
    header = ["phase", "seconds", "share", "memory"]
    on_device = any("device_memory" in phases[name] for name in order)
    rows = [
        [
            name,
            f"{phases[name]['seconds']:,.1f}",
            f"{phases[name]['seconds'] / max(total, 1e-9):.0%}",
            _bytes(phases[name].get("memory")),
            *([_bytes(phases[name].get("device_memory"))] if on_device else []),
        ]
        for name in order
    ]
    caption = "Memory is the most that the process had used by the end of the phase. Resumed runs count from there."
    if SHARE in history:
        caption += f" The callback gradient_flow took {history[SHARE].values[-1]:.1%} of the training."
    table = Table([*header, *(["on the GPU"] if on_device else [])], rows, caption=caption)
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "y": [""],
            "x": [phases[name]["seconds"]],
            "name": name,
            "hovertemplate": f"{name} %{{x:.1f}} s<extra></extra>",
        }
        for name in order
    ]
    layout = {
        "barmode": "stack",
        "legend": {"traceorder": "normal"},
        "xaxis": axis("seconds"),
        "yaxis": {"visible": False},
        "margin": {"t": 34, "b": 40},
    }
    return [table, Figure("time", bars, layout, 130)]


def _bytes(count: float | None) -> str:
    if count is None:
        return ""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def described(rows: Mapping[str, int]) -> str:
    """Return numbers of rows as text."""
    parts: Sequence[str] = [f"{name} {count:,}" for name, count in rows.items()]
    return ", ".join(parts)
