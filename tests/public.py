"""Which names are public: what a package exports, and not the file that it happens to be in."""

from importlib import import_module
from typing import Any

from seqmodels.config.allowlist import nodes


def is_public(target: str) -> bool:
    """Return whether a package exports ``target``, or a module that a package exports, such as ``cells.init``, does."""
    place, _, name = target.rpartition(".")
    module = import_module(place)
    if name not in getattr(module, "__all__", ()):
        return False
    parent, _, own = place.rpartition(".")
    return hasattr(module, "__path__") or own in import_module(parent).__all__


def private_targets(config: Any) -> list[str]:
    """Return the targets of this package in a plain configuration that are not public."""
    targets = {node["_target_"] for _, node in nodes(config) if str(node.get("_target_", "")).startswith("seqmodels.")}
    return sorted(target for target in targets if not is_public(target))
