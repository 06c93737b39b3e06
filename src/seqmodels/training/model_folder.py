"""Model folders: a network to share, with its preprocessing and a card."""

import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save
from torch import nn

from seqmodels.config.build import build, target_of
from seqmodels.data.statistics import describe_split
from seqmodels.data.statistics.rows import vocabulary_of
from seqmodels.errors import ConfigError
from seqmodels.system.durable import write_durably, write_text
from seqmodels.system.json_text import json_text
from seqmodels.training.runs import write_json
from seqmodels.training.trained import DATA_FIELDS, Recipe, load_folder

if TYPE_CHECKING:  # it imports Lightning, which a model folder is loaded without
    from seqmodels.data import DataModule

STATISTICS = "statistics.json"
"""File of a model folder: how often what occurs in the inputs of the training data."""

SHOWN = 20  # classes that a card names


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


def save_statistics(folder: str | Path, data: "DataModule") -> None:
    """Write statistics of the training data beside a network, by which ``seqmodels explain what=drift`` judges others.

    They are written to ``statistics.json``: shares of tokens and of the deciles of numbers, no rows of the data.

    Args:
        folder: a folder that :func:`save_model` wrote.
        data: the data of the training, after ``setup``.
    """
    vocabulary = vocabulary_of(build(data.preprocessing)) if data.preprocessing else None
    found = describe_split(data.split("train"), data.split("val"), vocabulary)
    if found is not None:
        write_text(Path(folder) / STATISTICS, json_text(found) + "\n")


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
    network, cell, task = (escaped((config.get(part) or {}).get("_target_")) for part in ("model", "cell", "task"))
    tested = {name: value for name, value in metrics.items() if name.startswith("test/")}
    rows = "\n".join(f"| {escaped(name)} | {value:.4f} |" for name, value in tested.items())
    seed = f", with seed {escaped(config['seed'])}" if "seed" in config else ""
    figures = f"On the test split{seed}:\n\n| metric | value |\n|---|---|\n{rows}"
    return (
        f"# {escaped(config['name'])}\n\n"
        f"`{network}` with `{cell}`, {sum(p.numel() for p in model.parameters())} parameters, for `{task}`.\n\n"
        '```python\nimport seqmodels\n\nmodel = seqmodels.load("this/folder")\nmodel.predict("new.csv")\n```\n\n'
        f"## Data\n\n{_data(recipe)}\n\n"
        f"## Figures\n\n{figures if tested else 'It was not tested.'}\n\n"
        "## Limits\n\n" + "".join(f"- {line}\n" for line in _limits(recipe))
    )


def _data(recipe: Recipe) -> str:
    """Return what a card says of the data: the set, its source and licence."""
    node = recipe["config"]["data"]
    try:
        source = target_of(node)
    except ConfigError:  # of a recipe from elsewhere
        source = None
    citation, license = (escaped(getattr(source, name, "not stated")) for name in ("citation", "license"))
    return (
        f"Trained on `{escaped(node['_target_'])}` (source: {citation}).\n\n"
        f"Licence of the data: {license}. It may also bind what was trained on them."
    )


def _limits(recipe: Recipe) -> Iterator[str]:
    """Yield what a model cannot do, as far as its recipe tells."""
    sizes, classes = recipe["sizes"], recipe["class_names"]
    node = recipe["preprocessing"] or {}
    yield "It was trained on these data alone; on others its figures, probabilities and intervals need not hold."
    if classes:
        shown = ", ".join(map(escaped, classes[:SHOWN])) + (", ..." if len(classes) > SHOWN else "")
        yield f"It knows {len(classes)} classes and no others: {shown}."
    if "horizon" in sizes:
        yield f"It forecasts {sizes['horizon']} steps from the last {node.get('input_length')}, as long as in training."
    if "vocab_size" in sizes:
        yield f"It knows {sizes['vocab_size']} tokens; what its vocabulary lacks, it reads as unknown."
    if node.get("max_length") is not None:
        yield f"It reads the first {node['max_length']} tokens of a text."
    if not node:
        yield "Its data set states no preprocessing: new data must be prepared by the user."


def escaped(text: Any) -> str:
    """Return a name escaped for a line of Markdown, so that neither Markdown nor HTML in it takes effect."""
    line = escape(" ".join(str(text).split()), quote=False)
    return re.sub(r"[\\`*\[\]|#!]", lambda found: f"&#{ord(found[0])};", line)
