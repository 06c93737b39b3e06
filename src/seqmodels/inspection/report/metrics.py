"""The final metrics of a run: tiles, and a table beside those of baselines."""

from collections.abc import Mapping

from seqmodels.inspection.report.blocks import Table, Tile
from seqmodels.training.records.metrics import BASELINES, higher_is_better, is_baseline, key_metrics, with_baseline
from seqmodels.training.records.reading import Metrics, Run

WHOLE = ("parameters", "epochs", "steps", "seconds", "best/epoch", "best/step", "refit/epochs")  # no scores
TILES = 4
STAGES = ("test", "val", "train")


def number(value: float | None) -> str:
    """Return a number with four digits, a large whole one with all of them."""
    if value is None:
        return "nan"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4g}"


def tiles(run: Run) -> list[Tile]:
    """Return the main metrics of a run, each with the best baseline or the epoch that it is from."""
    main = key_metrics([run])
    own = [name for name in run.metrics if name.startswith("test/") and not is_baseline(name)]
    others = [name for name in own if name != "test/loss"]
    names = [*reversed(main), *others, *own]
    found = [_tile(name, run) for name in dict.fromkeys(names)]
    return found[:TILES]


def _tile(name: str, run: Run) -> Tile:
    value, better = run.metrics[name], max if higher_is_better(name, [run]) else min
    known = {
        prefix: other for prefix in BASELINES if (other := run.metrics.get(with_baseline(name, prefix))) is not None
    }
    if known:
        best = better(known, key=lambda prefix: known[prefix])
        note = f"{best.replace('_', ' ')}: {number(known[best])}"
    else:
        epoch = run.metrics.get("best/epoch")
        note = f"epoch {number(epoch)}" if name.startswith("best/") and epoch is not None else ""
    return Tile(name.removeprefix("best/"), number(value), note)


def metric_table(metrics: Metrics, single: str = "last weights") -> Table | None:
    """Return the scores of the model on each split, and those of baselines in columns beside it.

    Args:
        metrics: of the run.
        single: the heading of the scores where those of the best checkpoint are not apart.
    """
    columns = _columns(metrics, single)
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    baselines = [prefix for prefix in BASELINES if any(with_baseline(name, prefix) in metrics for name in names)]
    beside = {with_baseline(name, prefix) for name in names for prefix in baselines}
    names = [name for name in names if name not in beside]
    names.sort(key=lambda name: STAGES.index(name.split("/")[0]) if name.split("/")[0] in STAGES else len(STAGES))
    rows = [
        [name, *(_cell(column, name) for column in columns.values())]
        + [_cell(metrics, with_baseline(name, prefix)) for prefix in baselines]
        for name in names
    ]
    header = ["", *columns, *(prefix.replace("_", " ") for prefix in baselines)]
    return Table(header, rows) if rows else None


def _columns(metrics: Metrics, single: str) -> dict[str, dict[str, float | None]]:
    own = {name: value for name, value in metrics.items() if name not in WHOLE and "/" in name}
    if "best/epoch" not in metrics:
        return {single: own}
    best = {name.removeprefix("best/"): value for name, value in own.items() if name.startswith("best/")}
    best |= {name: value for name, value in own.items() if name.startswith("test/")}
    last = {name: value for name, value in own.items() if not name.startswith(("best/", "test/"))}
    return {f"best, epoch {number(metrics['best/epoch'])}": best, f"last, epoch {number(metrics.get('epochs'))}": last}


def _cell(values: Mapping[str, float | None], name: str) -> str:
    return number(values[name]) if name in values else ""
