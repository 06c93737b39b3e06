"""Write overrides as an experiment file for later runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from seqmodels.config.compose import composer, parse, search_folders
from seqmodels.config.hydra_internals import Hydra, group_options
from seqmodels.config.quoting import quoted
from seqmodels.system.durable import write_text


def write_experiment(path: Path, overrides: Sequence[str], comment: Sequence[str], config_dir: str | None) -> list[str]:
    """Write overrides as an experiment; return those that a file cannot express, to be given on the command line.

    Groups become defaults (an experiment among them becomes the base), keys become values. A later override replaces
    an earlier one, as on the command line. The folders in which options were found, ``config_dir`` among them, become
    ``hydra.searchpath``, which only a command line may have.
    """
    choices: dict[str, Any] = {}
    values: dict[str, Any] = {}
    rest = []
    parsed = parse(list(overrides))
    places = search_folders(parsed)
    with composer(config_dir, places) as hydra:
        for override in parsed:
            key = override.key_or_group
            if key == "hydra.searchpath":
                continue
            if override.is_delete() or override.is_sweep_override() or override.package is not None:
                rest.append(str(override.input_line))
            elif _is_group(hydra, key):
                choices[key] = override.value()
            else:
                values[key] = override.value()
    places += [f"file://{Path(config_dir).absolute()}"] if config_dir else []
    rest += [f"hydra.searchpath={quoted(places)}"] if places else []
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
    return bool(group_options(hydra, key))
