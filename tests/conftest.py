"""Shared fixtures: tolerances per dtype, the folder of data sets."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background of a script: what tests start would
    signal.signal(signal.SIGINT, signal.default_int_handler)  # be deaf to the interrupts that they send

TOLERANCE: dict[torch.dtype, dict[str, Any]] = {
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
    torch.float64: {"rtol": 1e-9, "atol": 1e-10},
}


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real data sets; tests that need one are skipped where it is not set."""
    folder = os.environ.get("SEQMODELS_DATA_DIR")
    if not folder:
        pytest.skip("SEQMODELS_DATA_DIR is not set: it names the folder of the real data sets")
    return Path(folder)


def processor_seconds() -> float:
    """Return the processor seconds of the processes that this one has started and seen end."""
    times = os.times()
    return times.children_user + times.children_system


@pytest.fixture(scope="session")
def import_seconds() -> float:
    """Processor seconds that importing what training needs takes here and now: the measure of an answer at once."""
    before = processor_seconds()
    subprocess.run([sys.executable, "-c", "import lightning.pytorch, torchmetrics"], check=True, timeout=300)
    return processor_seconds() - before


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _recipes_name_public_objects() -> Iterator[None]:
    """Check every recipe that a test writes: what it names must be exported by a package."""
    from seqmodels.training import fit
    from tests.public import private_targets

    recipe_of = fit.recipe_of

    def checked(*arguments: Any) -> Any:
        recipe = recipe_of(*arguments)
        assert private_targets(recipe) == []
        return recipe

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "recipe_of", checked)
        yield
