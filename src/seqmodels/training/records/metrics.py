"""Which metrics of a run matter most, and what is better for each."""

from collections.abc import Iterable, Sequence

from seqmodels.training.records.reading import Run

BEST = "best/val/loss"
LATER = ("parameters", "seconds")
BASELINES = ("persistence", "seasonal_naive", "majority", "bag_of_words", "nearest_neighbour", "summary", "train_mean")
"""Prefixes of metrics that are shown next to those of the model."""

HIGHER = {
    "accuracy",
    "auroc",
    "f1",
    "precision",
    "recall",
    "r2",
    "coverage",
    "exact",
    "jaccard",
    "bleu",
    "chrf",
    "rouge",
}
"""Words in the names of metrics of which more is better; less is better of all others."""


def by_importance(metrics: Sequence[str]) -> list[str]:
    """Return names of metrics: losses, the first metrics of the model on test data, size and time, then the rest.

    Example:
        >>> by_importance(["test/loss", "test/persistence_mse", "test/mse", "val/loss", "seconds", "best/val/loss"])
        ['best/val/loss', 'test/loss', 'test/mse', 'seconds', 'val/loss', 'test/persistence_mse']
    """
    first = [BEST if BEST in metrics else "val/loss", "test/loss"]
    own = [name for name in metrics if name.count("/") == 1 and not is_baseline(name)]
    main = [name for name in own if name.startswith("test/") and name not in first]
    order = [*first, *main[:3], *LATER, *main[3:], *own, *metrics]
    return [name for name in dict.fromkeys(order) if name in metrics]


def key_metrics(runs: Iterable[Run]) -> list[str]:
    """Return the score by which each run chose its best checkpoint, then the main metric of each on test data."""
    scores: dict[str, None] = {}
    tested: dict[str, None] = {}
    for run in runs:
        monitor = f"best/{run.config.get('callbacks.model_checkpoint.monitor')}"
        scores |= dict.fromkeys([name for name in (BEST, monitor, "val/loss") if name in run.metrics][:1])
        own = [name for name in run.metrics if name.startswith("test/") and not is_baseline(name)]
        others = [name for name in own if name != "test/loss"]
        main = ["test/accuracy"] if "test/accuracy" in own else (others or own)
        tested |= dict.fromkeys(main[:1])
    return [*scores, *tested]


def higher_is_better(metric: str, runs: Iterable[Run] = ()) -> bool:
    """Return whether more of a metric is better: as runs monitor it, or else by its name.

    Example:
        >>> higher_is_better("test/micro_f1"), higher_is_better("best/val/loss")
        (True, False)
    """
    for run in runs:
        node = "callbacks.model_checkpoint"
        if run.config.get(f"{node}.monitor") == metric.removeprefix("best/"):
            return bool(run.config.get(f"{node}.mode") == "max")
    return bool(HIGHER & {*metric.rpartition("/")[2].split("_")})


def with_baseline(name: str, prefix: str) -> str:
    """Return the name of a metric for another model.

    Example:
        >>> with_baseline("test/mse", "persistence")
        'test/persistence_mse'
    """
    stage, _, metric = name.rpartition("/")
    return f"{stage}/{prefix}_{metric}"


def is_baseline(name: str) -> bool:
    """Return whether a metric is that of a simple model, as ``test/majority_accuracy``."""
    return name.rpartition("/")[2].startswith(tuple(f"{prefix}_" for prefix in BASELINES))
