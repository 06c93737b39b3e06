"""Model folders: a network to share, with its preprocessing and a card."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from seqmodels.system.durable import write_durably, write_text
from seqmodels.training.runs import write_json
from seqmodels.training.trained import DATA_FIELDS, Recipe, load_folder


def save_model(folder: str | Path, model: nn.Module, recipe: Recipe, metrics: Mapping[str, float]) -> None:
    """Write a network as a folder to share: ``config.json``, ``model.safetensors`` and a model card ``README.md``.

    Args:
        folder: created if it does not exist.
        model: the trained network.
        recipe: the configuration and data properties that it was built from.
        metrics: results by name; those that begin with ``test/`` are listed in the model card.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: recipe["config"][name] for name in ("name", "model", "cell", "regularizers", "task", "data")}
    write_json(folder / "config.json", {**parts, **{name: recipe[name] for name in DATA_FIELDS}})
    weights = save({name: value.contiguous() for name, value in model.state_dict().items()})
    write_durably(folder / "model.safetensors", lambda file: file.write(weights))
    write_text(folder / "README.md", _card(recipe, model, metrics))


def load_model(folder: str | Path) -> nn.Module:
    """Return the network of a folder that :func:`save_model` wrote.

    Args:
        folder: the folder ``model`` of a run, or a copy of it.

    Returns:
        The network, on the CPU and in evaluation mode.

    Raises:
        ConfigError: a file is missing or cannot be read.
        TargetRefused: its ``config.json`` names something that is not on the allow-list.
    """
    return load_folder(Path(folder))[0]


def _card(recipe: Recipe, model: nn.Module, metrics: Mapping[str, float]) -> str:
    config = recipe["config"]
    network, cell, data = (escaped(config[part]["_target_"]) for part in ("model", "cell", "data"))
    rows = "\n".join(
        f"| {escaped(name)} | {value:.4f} |" for name, value in metrics.items() if name.startswith("test/")
    )
    return (
        f"# {escaped(config['name'])}\n\n"
        f"`{network}` with `{cell}`, "
        f"{sum(p.numel() for p in model.parameters())} parameters, trained on `{data}`.\n\n"
        f"| metric | value |\n|---|---|\n{rows}\n\n"
        '```python\nfrom seqmodels.training import load_model\n\nmodel = load_model("this/folder")\n```\n'
    )


def escaped(text: Any) -> str:
    """Return a name escaped for a line of Markdown, so that neither Markdown nor HTML in it takes effect."""
    line = escape(" ".join(str(text).split()), quote=False)
    return re.sub(r"[\\`*\[\]|#!]", lambda found: f"&#{ord(found[0])};", line)
