"""Models as folders of JSON, weights in safetensors and a card."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from seqmodels.exporting.checking import check
from seqmodels.exporting.networks import graphs_of
from seqmodels.training.model_folder import load_model, save_model
from seqmodels.training.trained import Recipe


def export_folder(model: nn.Module, recipe: Recipe, metrics: Mapping[str, float]) -> tuple[dict[str, bytes], list[str]]:
    """Return a model as files of a folder that ``load_model`` reads, which computes the same to the last bit.

    Args:
        model: a trained network.
        recipe: of its checkpoint.
        metrics: of its run, for the card.

    Returns:
        Contents of files by name, and lines that say what was done.

    Raises:
        ConfigError: the folder holds another model.
    """
    place = Path(tempfile.mkdtemp())
    try:
        save_model(place, model, recipe, metrics)
        lines = []
        for graph, saved in zip(graphs_of(model), graphs_of(load_model(place)), strict=True):
            check(graph, lambda inputs, saved=saved: saved.module(*inputs), 0, "the folder")  # type: ignore[misc]
            lines.append(f"{graph.name}: equal to the last bit")
        return {path.name: path.read_bytes() for path in sorted(place.iterdir())}, lines
    finally:
        shutil.rmtree(place)


def outside(model: nn.Module, recipe: Recipe, kind: str) -> tuple[dict[str, Any], list[str]]:
    """Return what an exported graph or C file leaves to its caller, as plain data, and lines that name it.

    Args:
        model: a trained network.
        recipe: of its checkpoint.
        kind: of the export; ``c`` has what it reads in its header, and the search of a CRF.
    """
    found: dict[str, Any] = {
        "class_names": list(recipe["class_names"]),
        "preprocessing": recipe.get("preprocessing"),
    }
    if kind != "c":
        found = {"graphs": described(model), **found}
    lines = []
    if (node := recipe.get("preprocessing")) is not None:
        lines.append(f"preprocessing by {node['_target_']}: how its inputs are made")
    tags = getattr(model, "tags", None)
    if kind != "c" and tags is not None and (weights := dict(tags.named_parameters())):
        found["crf"] = {name: weight.tolist() for name, weight in weights.items()}
        lines.append("the CRF that chooses tags from scores: its weights")
    if kind != "c" and (len(found["graphs"]) > 1 or "log_probs" in str(found["graphs"])):
        lines.append("the search for an output, greedy or by beam: it calls the decoder for each token")
    return found, lines


def described(model: nn.Module) -> dict[str, Any]:
    """Return the graphs of a network by name: what they read and return, with the names of axes."""
    return {
        graph.name: {
            "inputs": {port.name: [*port.axes] for port in graph.inputs},
            "outputs": {name: [*axes] for name, axes in graph.outputs.items()},
            "optional": [*graph.initial],
            "multiples": dict(graph.multiples),
        }
        for graph in graphs_of(model)
    }
