"""What every test shares: tolerances per dtype, where data sets lie."""

import os
import signal
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


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
