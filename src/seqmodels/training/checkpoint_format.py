"""The format of checkpoints: required content, version, and migrations from older versions.

A checkpoint holds its version under ``format``; one without it is version 0, from before versions were written.
"""

from collections.abc import Callable
from typing import Any

from seqmodels.errors import ForeignCheckpointError, UnsupportedVersionError
from seqmodels.training.renamed import with_public_names

Checkpoint = dict[str, Any]


def from_0(checkpoint: Checkpoint) -> Checkpoint:
    """Add class names and preprocessing, which recipes of version 0 may lack."""
    if "recipe" not in checkpoint:
        return checkpoint
    return {**checkpoint, "recipe": {"class_names": [], "preprocessing": None, **checkpoint["recipe"]}}


def from_1(checkpoint: Checkpoint) -> Checkpoint:
    """Replace module paths by public names: recipes of version 1 named objects by the file that defined them."""
    if "recipe" not in checkpoint:
        return checkpoint
    return {**checkpoint, "recipe": with_public_names(checkpoint["recipe"])}


MIGRATIONS: tuple[Callable[[Checkpoint], Checkpoint], ...] = (from_0, from_1)
"""Entry n migrates a checkpoint from version n to version n + 1; a new format appends its own."""

FORMAT = len(MIGRATIONS)
"""The version that this package writes."""

RECIPE = {"config": dict, "sizes": dict, "class_names": list, "preprocessing": (dict, type(None))}
CLASS_NAMES = ("_instantiator", "_class_path")  # Lightning imports the code that hyper-parameters of these names name


def migrated(content: Any) -> Checkpoint:
    """Return the content of a file as a checkpoint of version :data:`FORMAT`.

    Raises:
        ForeignCheckpointError: it is not a checkpoint, or names a class to import.
        UnsupportedVersionError: a newer version of the package wrote it.
    """
    if not isinstance(content, dict):
        raise ForeignCheckpointError(f"it holds a {type(content).__name__}")
    for part in ("hyper_parameters", "datamodule_hyper_parameters"):
        names = [name for name in CLASS_NAMES if name in (content.get(part) or ())]
        if names:
            raise ForeignCheckpointError(f"its {part} name code to import: {names[0]} = {content[part][names[0]]!r}")
    version = content.get("format", 0)
    if not isinstance(version, int) or version < 0:
        raise ForeignCheckpointError(f"its format is {version!r}")
    if version > FORMAT:
        raise UnsupportedVersionError(f"its format is {version}, and this version of seqmodels reads up to {FORMAT}")
    checkpoint = content
    for migrate in MIGRATIONS[version:]:
        checkpoint = migrate(checkpoint)
    return {**checkpoint, "format": FORMAT}


def check_recipe(checkpoint: Checkpoint) -> None:
    """Check that a checkpoint holds weights and the recipe of their model.

    Raises:
        ForeignCheckpointError: either is missing.
    """
    recipe = checkpoint.get("recipe")
    if not isinstance(recipe, dict):
        raise ForeignCheckpointError("it holds no recipe to build its model from")
    for name, kind in RECIPE.items():
        if not isinstance(recipe.get(name), kind):  # type: ignore[arg-type]
            raise ForeignCheckpointError(f"its recipe has no {name}")
    for name in ("model", "task", "optimizer"):
        if not isinstance(recipe["config"].get(name), dict):
            raise ForeignCheckpointError(f"the configuration in its recipe has no {name}")
    if not isinstance(checkpoint.get("state_dict"), dict):
        raise ForeignCheckpointError("it holds no weights")
