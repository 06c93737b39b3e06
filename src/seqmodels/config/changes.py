"""Comparison of the configuration of a resumed run with the original one."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from seqmodels.errors import ConfigError

CHANGEABLE = (  # keys that do not affect what a run computes
    *("resume", "accept_changes", "allow", "ckpt_path", "threads", "test", "baselines", "report", "optimized_metric"),
    *("run_name", "paths.*", "logger.*"),
    *("callbacks.resume_points.*", "callbacks.progress.*", "callbacks.lr_monitor.*", "callbacks.gradient_norms.*"),
    *("data.num_workers", "data.data_dir", "data.download", "data.eval_batch_size"),
    *("trainer.log_every_n_steps", "trainer.profiler", "trainer.enable_*", "trainer.default_root_dir"),
    *("callbacks.*.dirpath", "trainer.limit_test_batches", "trainer.detect_anomaly"),
)
INCREASABLE = ("trainer.max_epochs", "trainer.max_steps")
ADDED = {"tf32": True, "data.bucketing": False, "data.drop_last": False, "data.empty": "error"}
ADDED |= {"data.random_windows": False, "data.packed": False}
"""Options that once only some data sets had, or none: runs from then resume as if their configuration had set these."""


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a run is resumed with the configuration that it was started with.

    Raises:
        ConfigError: keys have changed that affect what it computes; the message lists them with both values.
    """
    old, new = ADDED | dict(leaves(before)), ADDED | dict(leaves(now))
    keys = [
        key
        for key in sorted({*old, *new}, key=len)
        if old.get(key) != new.get(key) and not _allowed(key, old.get(key), new.get(key))
    ]
    # A part appears at its own key and again in every part that refers to it, such as cell.* in model.cell.factory.*.
    keys = [key for key in keys if not any(key.endswith(f".{other}") or is_copy(key, other) for other in keys)]
    if keys:
        changes = "; ".join(f"{key}: {_format(old, key)} -> {_format(new, key)}" for key in keys)
        raise ConfigError(
            f"the run to resume was started with another configuration ({changes}); "
            "leave these keys unchanged, or add accept_changes=true"
        )


def is_changeable(key: str) -> bool:
    """Return whether a key may change when a run is resumed."""
    return any(fnmatchcase(key, pattern) or fnmatchcase(f"{key}.", pattern) for pattern in CHANGEABLE)


def _allowed(key: str, old: Any, new: Any) -> bool:
    if is_changeable(key):
        return True
    if key not in INCREASABLE or not isinstance(new, int):
        return False
    return old is None or (isinstance(old, int) and (new == -1 or new > old > -1))


def is_copy(key: str, other: str) -> bool:
    """Return whether ``key`` may be a copy of ``other`` in a part that refers to it: same last name, longer path."""
    return len(key) > len(other) and key.rpartition(".")[2] == other.rpartition(".")[2] and "." in other


def leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a plain configuration by dotted key; lists and empty dicts count as values."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from leaves(value, f"{place}.{key}" if place else str(key))
    else:
        yield place, node


def _format(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "absent"
