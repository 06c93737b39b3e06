"""The checks of CUDA kernels run as they would on a card, and kernels fit the registers of every architecture."""

import json
import sys
from pathlib import Path

import pytest
import torch

from seqmodels.backends import BACKENDS
from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.fusion.cuda.nvrtc import Image, reason
from tests.fusion.running import needs_compiler

needs_nvrtc = pytest.mark.skipif(reason() is not None, reason=f"CUDA C++: {reason()}")
KERNELS = {
    "bf16 LSTM": (LSTMCell, 512, torch.bfloat16, False),
    "TF32 GRU of any length": (GRUCell, 256, torch.float32, True),
}


@needs_nvrtc
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("arch", ["sm_80", "sm_89", "sm_90", "sm_120"])
def test_kernels_fit_the_registers_and_the_shared_memory_of_a_card(arch: str, name: str) -> None:
    from gpu_checks.kernels import CARDS, build, wanted

    kind, hidden, dtype, ragged = KERNELS[name]
    kernels = wanted(name, kind(hidden, hidden), dtype, 16, CARDS[arch], ragged=ragged)
    found = {kernel.what: (kernel.source, image) for kernel, image in build(kernels, arch)}
    assert len(found) == 2
    for what, (source, image) in found.items():
        assert isinstance(image, Image), image
        assert image.spilled == 0, what
        assert image.registers <= 255
        assert source.shared_bytes + image.shared <= CARDS[arch].shared_bytes


@needs_compiler
@pytest.mark.parametrize("part", ["robustness", "speed"])
def test_a_dry_run_finds_nothing_wrong(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import check_gpu
    from gpu_checks import speed

    monkeypatch.setitem(BACKENDS, "fused", BACKENDS["fused"])
    monkeypatch.setattr(speed, "GOALS", speed.GOALS[-1:])
    monkeypatch.setattr(speed, "MOST", {"lengths": 1.0, "zoneout": 1.0})
    file = tmp_path / "results.jsonl"
    options = ["--dry-run", "--parts", part, "--budget", "300", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["check_gpu.py", *options])
    assert check_gpu.main() == 0
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [record["skipped"] for record in records if record["part"] == "time"] == [0]
    assert sum(record.get("ok") is True for record in records) >= 7


@needs_compiler
def test_a_kernel_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpu_checks.common import Limit, Place, Records
    from gpu_checks.correctness import check_cells

    from tests.fusion.cuda.emulator import EmulatedCard

    monkeypatch.setitem(BACKENDS, "fused", BACKENDS["fused"])
    load = EmulatedCard.load
    monkeypatch.setattr("gpu_checks.common.DTYPES", {"tf32": torch.float32})
    monkeypatch.setattr("gpu_checks.correctness.DTYPES", {"tf32": torch.float32})
    found = []
    for wrong in (False, True):
        if wrong:
            monkeypatch.setattr(
                EmulatedCard,
                "load",
                lambda self, text, *more: load(self, text.replace("f_tanh(", "1.1f * f_tanh("), *more),
            )
        records = Records(None)
        check_cells(Place(dry=True), Limit(60), records, ["ElmanCell"])
        found.append([record["ok"] for record in records.all])
    assert found == [[True, True], [False, False]]


def test_results_are_on_disk_as_they_come_and_what_time_does_not_allow_is_counted(tmp_path: Path) -> None:
    from gpu_checks.common import Limit, Records

    records = Records(tmp_path / "results.jsonl")
    records.add("part", "what", ok=False, error=0.5)
    line = {"part": "part", "what": "what", "ok": False, "error": 0.5}
    assert json.loads((tmp_path / "results.jsonl").read_text()) == line
    assert records.failed() == [line]
    limit = Limit(-1)
    assert [limit.over(), limit.over()] == [True, True]
    assert limit.skipped == 2
