"""Tables of runs for programs and papers: CSV, JSON, LaTeX."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from seqmodels.commands.runs.layout import Metric, metric_text
from seqmodels.commands.runs.rows import Row
from seqmodels.system.json_text import json_text
from seqmodels.training.records.differences import short_names
from seqmodels.training.records.reading import Run, as_text
from seqmodels.training.records.spread import Spread

FORMATS = ("table", "csv", "json", "latex")
SUFFIXES = {".csv": "csv", ".json": "json", ".tex": "latex"}
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


def as_csv(rows: Sequence[Row], keys: Sequence[str], metrics: Sequence[str]) -> str:
    """Return rows as CSV; of merged ones the mean of each metric, its deviation, and the number of runs."""
    table = [_flat(row, keys, metrics) for row in rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*dict.fromkeys(name for line in table for name in line)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _flat(row: Row, keys: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    one = len(row.runs) == 1 and bool(row.name)
    line: dict[str, Any] = {"run": row.name, "folder": row.runs[0].folder} if one else {}
    line |= {key: as_text(row.values.get(key)) for key in keys}
    for name in metrics:
        value = row.metrics.get(name)
        line[name] = value.mean if isinstance(value, Spread) else value
        if not one:
            line[f"{name}_deviation"] = value.deviation if isinstance(value, Spread) else None
    return line | (_facts(row.runs[0]) if one else {"runs": len(row.runs)})


def as_json(rows: Sequence[Row], keys: Sequence[str]) -> str:
    """Return rows as a JSON list, with every metric."""
    return json_text([_node(row, keys) for row in rows], indent=2) + "\n"


def _node(row: Row, keys: Sequence[str]) -> dict[str, Any]:
    node: dict[str, Any] = {"config": {key: row.values.get(key) for key in keys}, "metrics": _plain(row.metrics)}
    if not row.name:
        return node | {"folders": [str(run.folder) for run in row.runs]}
    return {"run": row.name, "folder": str(row.runs[0].folder)} | node | _facts(row.runs[0])


def _plain(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    return {name: value._asdict() if isinstance(value, Spread) else value for name, value in metrics.items()}


def _facts(run: Run) -> dict[str, Any]:
    return {
        "epochs": run.epochs,
        "best_epoch": run.best_epoch,
        "changed": datetime.fromtimestamp(run.changed, UTC).isoformat(timespec="seconds"),
        "bytes": run.size,
        "state": run.state,
        "damaged": " ".join(run.damaged),
    }


def as_latex(rows: Sequence[Row], keys: Sequence[str], metrics: Sequence[str]) -> str:
    r"""Return rows as a ``tabular`` with the rules of the package booktabs."""
    named = any(row.name for row in rows)
    short = short_names(keys)
    header = [*(["run"] if named else []), *(short[key] for key in keys), *metrics, *([] if named else ["runs"])]
    left = named + len(keys)
    lines = [
        "% \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{'l' * left}{'r' * (len(header) - left)}}}",
        "\\toprule",
        _line(map(escaped, header)),
        "\\midrule",
    ]
    for row in rows:
        cells = [escaped(row.name)] if named else []
        cells += [escaped(as_text(row.values.get(key))) for key in keys]
        cells += [_math(row.metrics[name]) if name in row.metrics else "" for name in metrics]
        lines.append(_line([*cells, *([] if named else [str(len(row.runs))])]))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def escaped(text: str) -> str:
    r"""Return a text with the letters that LaTeX reads as commands escaped.

    Example:
        >>> print(escaped("hidden_size 50%"))
        hidden\_size 50\%
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _math(value: Metric) -> str:
    text = metric_text(value).replace("±", r"\pm").replace(",", "{,}")
    text = re.sub(r"e([+-])0*(\d+)", lambda found: rf" \times 10^{{{found[1].strip('+')}{found[2]}}}", text)
    return "--" if "nan" in text else f"${text}$"
