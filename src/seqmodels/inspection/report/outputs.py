"""Sections about the test of a run: confusion, errors, forecasts, texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqmodels.inspection.report.blocks import Block, Example, Examples, Figure, Table, Text, Word
from seqmodels.inspection.report.figures import axis, band, label, line, matrix, picture

NUMBERS = 15  # classes of a matrix whose counts are written out
ROW, LEAST, MOST = 26, 300, 900  # pixels of a heat map
STEPS, NESTED = 12, 5  # answers of a sequence that are written out, and those that are lists themselves
TALL = 150
LABELS = 25

Found = Mapping[str, Any]


def test_parts(test: Found) -> list[tuple[str, list[Block]]]:
    """Return title and content of the sections on what ``record.json`` has of a test."""
    return [
        ("Confusion matrix", _confusion(test["confusion"]) if "confusion" in test else []),
        ("Labels", _labels(test["labels"]) if test.get("labels") else []),
        ("Predictions and targets", _points(test.get("points", []))),
        ("Forecasts", _forecasts(test.get("forecasts", []))),
        ("Worst errors", _errors(test.get("errors", []))),
        *_texts(test.get("texts", {})),
        ("Samples", _samples(test.get("samples", {}))),
    ]


def _confusion(found: Found) -> list[Block]:
    names, counts = found["names"], found["counts"]
    totals = [max(sum(row), 1) for row in counts]
    shares = [[count / total for count in row] for row, total in zip(counts, totals, strict=True)]
    texts = [[str(count) if count else "" for count in row] for row in counts] if len(names) <= NUMBERS else None
    height = min(max(LEAST, ROW * len(names) + 110), MOST)
    hover = "true %{y}, predicted %{x}: %{customdata}<br>%{z:.1%} of the class<extra></extra>"
    figure = matrix(
        "confusion",
        names,
        names,
        shares,
        x="predicted",
        y="true",
        texts=texts,
        hover=hover,
        height=height,
        width=max(420, 2 * height),
    )
    figure.data[0]["customdata"] = counts
    pairs = [
        (count, shares[i][j], names[i], names[j])
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if i != j and count
    ]
    caption = (
        f"The {len(names)} of {found['classes']} classes with the most errors. "
        if len(names) < found["classes"]
        else ""
    )
    blocks: list[Block] = [figure._replace(caption=f"{caption}Colours are shares of the true class.")]
    if pairs:
        rows = [
            [true, wrong, str(count), f"{share:.1%}"] for count, share, true, wrong in sorted(pairs, reverse=True)[:8]
        ]
        blocks.append(
            Table(["true", "predicted as", "rows", "of the class"], rows, left=2, caption="Most frequent errors")
        )
    return blocks


def _labels(found: Sequence[Found]) -> list[Block]:
    rows = []
    for each in found[:LABELS]:
        if not each["true"] and not each["predicted"]:
            continue
        precision, recall = each["right"] / max(each["predicted"], 1), each["right"] / max(each["true"], 1)
        f1 = 2 * each["right"] / max(each["predicted"] + each["true"], 1)
        rows.append([each["name"], str(each["true"]), f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}"])
    return [Table(["label", "true", "precision", "recall", "F1"], rows, caption="The most frequent labels first")]


def _points(found: Sequence[Found]) -> list[Block]:
    blocks: list[Block] = []
    for number, each in enumerate(found, start=1):
        pairs = [(a, b) for a, b in zip(each["targets"], each["predictions"], strict=True) if None not in (a, b)]
        if not pairs:
            continue
        ends = [min(map(min, pairs)), max(map(max, pairs))]
        targets, predictions = zip(*pairs, strict=True)
        marks = {
            "type": "scatter",
            "mode": "markers",
            "x": targets,
            "y": predictions,
            "marker": {"size": 6, "opacity": 0.6},
        }
        right = line(ends, ends, "right", mode="lines", meta="text", line={"width": 1, "dash": "dot"}, hoverinfo="skip")
        layout = {
            "showlegend": False,
            "xaxis": axis("target"),
            "yaxis": axis("prediction"),
        }
        caption = f"{len(pairs)} evenly spaced rows of the test data; on the dotted line a prediction is right."
        blocks.append(Figure(f"predictions_{number}", [marks, right], layout, 360, caption, title=each["name"]))
    return blocks


def _forecasts(found: Sequence[Found]) -> list[Block]:
    blocks: list[Block] = []
    for number, each in enumerate(found, start=1):
        horizon = list(range(1, len(each["forecast"]) + 1))
        before = list(range(1 - len(each["past"]), 1))
        times = [label(str(time)) for time in each["times"]]
        hover = {"customdata": times, "hovertemplate": "%{y:.5g} at %{customdata}"}
        traces = [line(before, each["past"], "before", meta="text", mode="lines", line={"width": 1.5})]
        if "low" in each:
            traces.append(
                band(horizon, each["low"], each["high"], "rgba(59,125,216,.22)", name="interval") | {"showlegend": True}
            )
        right = {"mode": "lines", "meta": "text", "line": {"width": 1.5, "dash": "dot"}}
        joined = [each["past"][-1], *each["target"]]
        traces.append(line([0, *horizon], joined, "true", **right, hovertemplate="%{y:.5g}"))
        traces.append(line(horizon, each["forecast"], "forecast", line={"color": "#3b7dd8", "width": 2}, **hover))
        title = f"{each['name']}, from {each['times'][0]}" + (" (the worst of all windows)" if each["worst"] else "")
        layout = {"xaxis": axis("step"), "yaxis": axis("")}
        blocks.append(Figure(f"forecast_{number}", traces, layout, 300, title=title))
    return blocks


def _errors(found: Sequence[Found]) -> list[Block]:
    if not found:
        return []
    shown = [_error(number, each) for number, each in enumerate(found, start=1)]
    return [Examples(shown, "The test rows with the greatest losses, as the network read them (series are scaled).")]


def _error(number: int, each: Found) -> Example:
    target, answer, read = each["target"], each["prediction"], each["input"]
    if "tokens" in read:
        words = [
            Word(word, right, guess if guess != right else "")
            for word, right, guess in zip(read["tokens"], target, answer, strict=False)
        ]
        return Example(f"row {each['row']}", [], None, words)
    lines = [("true", _answer(target)), ("predicted", _answer(answer))]
    if "probabilities" in each:
        shares = [f"{name}: {share:.1%}" for name, share in each["probabilities"].items()]
        lines.append(("probabilities", ", ".join(shares)))
    if "text" in read:
        lines.append(("text", read["text"]))
        return Example(f"row {each['row']}, loss {each['loss']:.3g}", lines)
    return Example(f"row {each['row']}, loss {each['loss']:.3g}", lines, _input(f"error_{number}", read))


def _input(name: str, read: Found) -> Figure:
    if "image" in read:
        return picture(name, read["image"])
    step = read["step"]
    traces = [
        line(
            [step * place for place in range(len(channel))],
            channel,
            f"channel {index}",
            mode="lines",
            line={"width": 1.3},
        )
        for index, channel in enumerate(read["series"], start=1)
    ]
    layout = {"margin": {"l": 30, "r": 6, "t": 6, "b": 24}, "showlegend": False}
    return Figure(name, traces, layout, TALL)


def _answer(value: Any) -> str:
    """Return a target or a prediction as text: a class, labels, numbers, or any of these for the first steps."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_answer(number)}" for name, number in value.items())
    if isinstance(value, list):
        nested = any(isinstance(inner, list) for inner in value)
        most = NESTED if nested else STEPS
        shown = " ".join(f"[{_answer(inner)}]" if nested else _answer(inner) for inner in value[:most])
        return (shown or "none") + (" …" if len(value) > most else "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _texts(found: Found) -> list[tuple[str, list[Block]]]:
    def shown(name: str, title: str) -> list[Block]:
        examples = [
            Example(f"{title} {number}", [(part, text or "(empty)") for part, text in each.items()])
            for number, each in enumerate(found.get(name, []), start=1)
        ]
        return [Examples(examples)] if examples else []

    drawn: list[Block] = []
    for number, each in enumerate(found.get("attention", []), start=1):
        height = min(max(220, 24 * len(each["output"]) + 130), MOST)
        hover = "%{y} reads %{x}: %{z:.2f}<extra></extra>"
        drawn.append(
            matrix(f"attention_{number}", each["output"], each["source"], each["weights"], hover=hover, height=height)
        )
    if drawn:
        drawn.append(
            Text("A row for each token that was written: the darker, the more of the source token below was read.")
        )
    return [
        ("Outputs", shown("examples", "example")),
        ("Outputs with the most errors", shown("worst", "output")),
        ("Attention", drawn),
    ]


def _samples(found: Found) -> list[Block]:
    examples = [Example(f"sample {n}", [("text", text)]) for n, text in enumerate(found.get("texts", []), start=1)]
    caption = f"Written without a prompt, at temperature {found.get('temperature')}."
    return [Examples(examples, caption)] if examples else []
