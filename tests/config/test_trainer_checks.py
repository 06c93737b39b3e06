"""What a trainer cannot do here is said before any data are read."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch.accelerators import CUDAAccelerator

from seqmodels.config.trainer_checks import check_accelerator
from seqmodels.errors import ConfigError
from tests.conftest import Answer

UNREAD = ["data=csv_series", "data.path=nowhere.csv", "data.target=y", "hydra.run.dir=run"]
CPU_BUILD = f"torch {torch.__version__} is a build without CUDA and finds no GPU"


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer=gpu", "trainer.accelerator=gpu: torch "),
        ("trainer=mps", "trainer.accelerator=mps: torch finds no GPU of Apple (mps)"),
        ("trainer.max_steps=0", "trainer.max_steps=0 trains nothing: set at least 1; -1 sets no limit of steps"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0 trains nothing: set at least 1; -1 sets no limit of epochs"),
        ("trainer.limit_train_batches=0", "trainer.limit_train_batches=0 trains nothing: set at least 1"),
        ("trainer.limit_val_batches=0", "trainer.limit_val_batches=0 leaves no validation, and early stopping"),
    ],
)
def test_a_trainer_that_cannot_work_is_refused_in_one_line(
    override: str, message: str, command: Callable[..., Answer]
) -> None:
    answer = command("train", *UNREAD, override)
    assert answer.status == 2
    (line,) = answer.err.splitlines()
    assert line.startswith(f"seqmodels: {message}")
    assert "nowhere.csv" not in line
    if "accelerator" in line:
        assert "trainer=cpu trains on this machine; seqmodels doctor shows what torch finds" in line


def no_driver() -> None:
    raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update your driver.")


@pytest.mark.parametrize(
    ("cuda", "expected"),
    [
        (None, [CPU_BUILD, "if there is an NVIDIA GPU", "https://pytorch.org/get-started/locally"]),
        ("13.0", ["a build for CUDA 13.0, finds no GPU (The NVIDIA driver on your system is too old (found version"]),
    ],
)
def test_the_reason_for_a_missing_gpu_is_that_of_torch(
    cuda: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CUDAAccelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", no_driver)
    with pytest.raises(ConfigError) as refusal:
        check_accelerator({"accelerator": "cuda", "devices": 1})
    assert [words for words in expected if words not in str(refusal.value)] == []


@pytest.mark.parametrize(("devices", "refused"), [(1, False), ("auto", False), (-1, False), (2, True), ([1], True)])
def test_more_gpus_than_there_are_are_refused(devices: Any, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning.fabric.accelerators.cuda.num_cuda_devices", lambda: 1)
    monkeypatch.setattr("lightning.pytorch.accelerators.cuda.num_cuda_devices", lambda: 1)
    monkeypatch.setattr(CUDAAccelerator, "is_available", lambda: True)
    monkeypatch.setattr("lightning.pytorch.accelerators.MPSAccelerator.is_available", lambda: False)
    for accelerator in ("gpu", "cuda", "auto"):
        if not refused:
            check_accelerator({"accelerator": accelerator, "devices": devices})
            continue
        with pytest.raises(ConfigError, match=r"trainer.devices=.*: torch finds 1 GPU\(s\) on this machine"):
            check_accelerator({"accelerator": accelerator, "devices": devices})
    check_accelerator({"accelerator": "cpu", "devices": devices})
