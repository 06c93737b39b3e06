"""The settings in which SegRNN was published, the options tried in each, and the table of the results."""

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from tabulating.page import markdown, spread
from tabulating.runs import Run

HORIZONS = (96, 192, 336, 720)
SEEDS = (1, 2, 3)

# mean squared and mean absolute error by series and horizon, as SegRNN's authors publish them. Those for 96 steps of
# input were computed after they had corrected their evaluation (it left out the last, incomplete batch of the test
# windows), those for 720 before; None: not known.
PUBLISHED: dict[int, dict[str, tuple[tuple[float, float] | None, ...]]] = {
    96: {
        "ETTh1": ((0.368, 0.395), (0.408, 0.419), (0.444, 0.440), (0.446, 0.457)),
        "ETTh2": ((0.278, 0.335), (0.359, 0.389), (0.421, 0.436), (0.432, 0.455)),
        "ETTm1": ((0.330, 0.369), (0.369, 0.392), (0.399, 0.412), (0.454, 0.443)),
        "ETTm2": ((0.173, 0.255), (0.237, 0.298), (0.296, 0.336), (0.389, 0.407)),
    },
    720: {
        "ETTh1": ((0.351, 0.392), (0.392, 0.414), (0.423, 0.433), (0.466, 0.472)),
        "ETTh2": (None,) * 4,
        "ETTm1": ((0.293, 0.354), None, None, (0.410, 0.430)),
        "ETTm2": (None,) * 4,
    },
}
LOOK_BACKS, SERIES = tuple(PUBLISHED), tuple(PUBLISHED[96])

WIDE = ("cell.hidden_size=512", "optimizer.lr=0.0003")
CANDIDATES: dict[str, tuple[str, ...]] = {
    "128 units": (),  # as in the experiment
    "512 units": WIDE,
    "512 units, MSE": (*WIDE, "likelihood=mse", "model.dropout=0.1"),
}
QUARTERS = ("model.segment=48", "data.batch_size=256")  # of the files in steps of 15 minutes, as published


class Setting(NamedTuple):
    """One row of the table."""

    series: str
    look_back: int  # steps of input
    horizon: int

    def command(self, candidate: str, seed: int) -> str:
        """Return the command of a run, without what is the default of its experiment."""
        words = [] if self.series == "ETTh1" else [f"data.name={self.series}"]
        words += QUARTERS if self.series.startswith("ETTm") else ()
        words += [] if self.horizon == HORIZONS[0] else [f"data.horizon={self.horizon}"]
        words += CANDIDATES[candidate]
        return " ".join([f"seqmodels train experiment=ett_{self.look_back}", *words, f"seed={seed}"])

    @property
    def published(self) -> tuple[float, float] | None:
        return PUBLISHED[self.look_back][self.series][HORIZONS.index(self.horizon)]


def settings(series: str, look_back: int) -> list[Setting]:
    """Return the settings of one table of the authors, one per horizon."""
    return [Setting(series, look_back, horizon) for horizon in HORIZONS]


def commands(series: list[str]) -> Iterator[str]:
    """Yield the commands of every run, all those of a seed before the next seed."""
    for seed in SEEDS:
        for candidate in CANDIDATES:
            for name in series:
                for look_back in LOOK_BACKS:
                    for setting in settings(name, look_back):
                        yield setting.command(candidate, seed)


def chosen(series: str, look_back: int, known: dict[str, Run]) -> str | None:
    """Return the candidate with the lowest squared error on validation data, over all horizons and seeds.

    Candidates are compared on the horizons and seeds that are known of all of them; None if there are none.
    """
    errors = {
        candidate: {
            (setting.horizon, seed): run["validation"]["val/mse"]
            for setting in settings(series, look_back)
            for seed in SEEDS
            if (run := known.get(setting.command(candidate, seed))) and "validation" in run
        }
        for candidate in CANDIDATES
    }
    common = set.intersection(*(set(found) for found in errors.values()))
    if not common:
        return None
    return min(CANDIDATES, key=lambda candidate: statistics.fmean(errors[candidate][pair] for pair in common))


def table(look_back: int, known: dict[str, Run]) -> str:
    """Return the results for one number of steps of input; empty if there are none."""
    header = ["series", "input", "horizon", "MSE", "MAE", "published MSE / MAE", "seasonal naive", "model"]
    rows = []
    for series in SERIES:
        if (candidate := chosen(series, look_back, known)) is not None:
            rows += [row for setting in settings(series, look_back) if (row := _row(setting, candidate, known))]
    return markdown([*header, "parameters", "minutes", "seeds"], rows) if rows else ""


def measured_on(known: dict[str, Run]) -> str:
    """Return the machines and dates of all runs in the tables."""
    found = [
        run
        for series in SERIES
        for look_back in LOOK_BACKS
        if (candidate := chosen(series, look_back, known)) is not None
        for setting in settings(series, look_back)
        for seed in SEEDS
        if (run := known.get(setting.command(candidate, seed)))
    ]
    return "; ".join(sorted({f"{run['date']}, {run['machine']}" for run in found}))


def _row(setting: Setting, candidate: str, known: dict[str, Run]) -> list[str]:
    found = {seed: run for seed in SEEDS if (run := known.get(setting.command(candidate, seed)))}
    if not found:
        return []
    metrics = {name: [run["metrics"][name] for run in found.values()] for name in next(iter(found.values()))["metrics"]}
    naive = " / ".join(f"{metrics[f'test/seasonal_naive_{name}'][0]:.3f}" for name in ("mse", "mae"))
    published = "not known" if setting.published is None else " / ".join(f"{value:.3f}" for value in setting.published)
    return [
        setting.series,
        str(setting.look_back),
        str(setting.horizon),
        spread(metrics["test/mse"]),
        spread(metrics["test/mae"]),
        published,
        naive,
        candidate,
        f"{metrics['parameters'][0]:,}",
        f"{statistics.fmean(metrics['seconds']) / 60:.1f}",
        ", ".join(map(str, found)),
    ]
