"""What may differ between a run and its continuation."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from seqmodels.errors import ConfigError

FREE = (  # they change where and how a run is carried out and watched, not what it computes
    *("resume", "accept_changes", "ckpt_path", "threads", "test", "optimized_metric", "paths.*", "logger.*"),
    *("callbacks.resume_points.*", "callbacks.progress.*", "callbacks.lr_monitor.*", "callbacks.gradient_norms.*"),
    *("data.num_workers", "data.data_dir", "data.download", "data.eval_batch_size"),
    *("trainer.log_every_n_steps", "trainer.profiler", "trainer.enable_*", "trainer.default_root_dir"),
    *("callbacks.*.dirpath", "trainer.limit_test_batches", "trainer.detect_anomaly"),
)
ADDED = {"data.bucketing": False, "data.drop_last": False, "data.empty": "error", "data.random_windows": False}
"""Options of data that only some sets had: a run of then goes on as if its configuration had stated them."""
GROWING = ("trainer.max_epochs", "trainer.max_steps")


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a run goes on as the configuration says that it was begun with.

    Raises:
        ConfigError: keys have changed that decide what it computes; all are named with both values.
    """
    old, new = ADDED | dict(_leaves(before)), ADDED | dict(_leaves(now))
    keys = [
        key
        for key in sorted({*old, *new}, key=len)
        if old.get(key) != new.get(key) and not _allowed(key, old.get(key), new.get(key))
    ]
    # A part stands where the user wrote it, and again in every part that refers to it: cell.* in model.cell.factory.*.
    keys = [key for key in keys if not any(key.endswith(f".{other}") or _within(key, other) for other in keys)]
    if keys:
        changes = "; ".join(f"{key}: {_shown(old, key)} -> {_shown(new, key)}" for key in keys)
        raise ConfigError(
            f"the run to resume was begun with another configuration ({changes}); "
            "leave these keys as they were, or add accept_changes=true"
        )


def _allowed(key: str, old: Any, new: Any) -> bool:
    if any(fnmatchcase(key, pattern) or fnmatchcase(f"{key}.", pattern) for pattern in FREE):
        return True
    return key in GROWING and isinstance(old, int) and isinstance(new, int) and (new == -1 or new > old > -1)


def _within(key: str, other: str) -> bool:
    """Return whether ``key`` is ``other`` as a part that refers to it has it: the same last name, further down."""
    return len(key) > len(other) and key.rpartition(".")[2] == other.rpartition(".")[2] and "." in other


def _leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a plain configuration under their dotted keys; a list, and an empty dict, is a value."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{place}.{key}" if place else str(key))
    else:
        yield place, node


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "not there"
