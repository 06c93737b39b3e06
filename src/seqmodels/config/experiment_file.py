"""Write overrides as an experiment file for later runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.object_type import ObjectType
from omegaconf import OmegaConf

from seqmodels.config.compose import composer, parse
from seqmodels.config.hydra_internals import Hydra
from seqmodels.system.durable import write_text


def write_experiment(path: Path, overrides: Sequence[str], comment: Sequence[str], config_dir: str | None) -> list[str]:
    """Write overrides as an experiment; return those that a file cannot express, to be given on the command line.

    Groups become defaults (an experiment among them becomes the base), keys become values. A later override replaces
    an earlier one, as on the command line.
    """
    choices: dict[str, Any] = {}
    values: dict[str, Any] = {}
    rest = []
    with composer(config_dir) as hydra:
        for override in parse(list(overrides)):
            key = override.key_or_group
            if override.is_delete() or override.is_sweep_override() or override.package is not None:
                rest.append(str(override.input_line))
            elif _is_group(hydra, key):
                choices[key] = override.value()
            else:
                values[key] = override.value()
    base = choices.pop("experiment", None)
    defaults = [
        *([base] if isinstance(base, str) else base or []),
        *({f"override /{k}": v} for k, v in choices.items()),
    ]
    content = OmegaConf.create({"defaults": defaults} if defaults else {})
    for key, value in values.items():
        OmegaConf.update(content, key, value, force_add=True)
    lines = ["# @package _global_", *(f"# {line}" for line in comment)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "\n".join(lines) + "\n" + OmegaConf.to_yaml(content))
    return rest


def _is_group(hydra: Hydra, key: str) -> bool:
    return bool(hydra.config_loader.get_group_options(key, results_filter=ObjectType.CONFIG))
