"""Calls of the CUDA driver, recorded by a library that has its functions: types, order, errors in words."""

import subprocess
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from seqmodels.fusion.cuda import card, driver
from seqmodels.fusion.cuda.card import card_of
from seqmodels.fusion.cuda.driver import DriverError, Kernel
from seqmodels.fusion.cuda.nvrtc import Image
from seqmodels.fusion.kernels.build_failed import BuildFailed
from tests.fusion.running import needs_compiler

IMAGE = Image(b"\x7fELF\0code", 255, 8, 0)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driver")
    text = Path(__file__).with_name("fake_driver.cpp").read_text(encoding="utf-8")
    (folder / "driver.cpp").write_text(text.replace("LOG,", f'"{folder}/log",'))
    subprocess.run(["c++", "-shared", "-fPIC", "-o", folder / "driver.so", folder / "driver.cpp"], check=True)
    return folder / "driver.so"


@pytest.fixture
def calls(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the file that tells what the driver was asked for."""
    monkeypatch.setattr(driver, "LIBRARY", str(library))
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=0x500000000 + device))
    log = library.with_name("log")
    log.write_text("")
    driver._driver.cache_clear()
    driver._context.cache_clear()
    yield log
    driver._driver.cache_clear()
    driver._context.cache_clear()


def kernel() -> Kernel:
    return Kernel(IMAGE, "sequence", 256, 70000, 1)


@needs_compiler
def test_a_kernel_is_loaded_and_launched_in_the_context_of_its_card(calls: Path) -> None:
    made = kernel()
    assert (made.resident, made.spilled) == (2, 8)
    loaded = ["push 171", "load code", "function sequence", "attribute 8 70000", "occupancy 256 70000", "pop"]
    assert calls.read_text().splitlines() == loaded
    calls.write_text("")
    made.launch(34, array("q", [-5, 2**62]))
    launch = f"launch 700000002: 34 1 1, 256 1 1, 70000 bytes, stream 500000001, -5 {2**62}"
    assert calls.read_text().splitlines() == ["push 171", launch, "pop"]
    calls.write_text("")
    with driver._current(1):  # as it is in a thread that has used the card
        made.launch(34, array("q", [-5, 2**62]))
    assert calls.read_text().splitlines() == ["push 171", launch, "pop"]


@needs_compiler
@pytest.mark.parametrize("name", ["cuModuleLoadData", "cuModuleGetFunction"])
def test_code_that_cannot_be_loaded_is_a_failed_build(name: str, calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILURE", name)
    with pytest.raises(BuildFailed, match=f"on GPU 1: {name} failed: CUDA_ERROR_LAUNCH_FAILED \\(719\\), unspecified"):
        kernel()
    assert calls.read_text().splitlines()[-1] == "pop"


@needs_compiler
@pytest.mark.parametrize(("name", "last"), [("cuLaunchCooperativeKernel", "pop"), ("cuCtxPushCurrent_v2", "push 171")])
def test_a_launch_that_is_refused_is_an_error(
    name: str, last: str, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kernel()
    monkeypatch.setenv("FAKE_FAILURE", name)
    with pytest.raises(DriverError, match=f"{name.removesuffix('_v2')} failed: CUDA_ERROR_LAUNCH_FAILED"):
        made.launch(34, array("q", [0, 0]))
    assert calls.read_text().splitlines()[-1] == last


def test_without_a_driver_the_build_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "LIBRARY", "libnothing.so.1")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    driver._driver.cache_clear()
    with pytest.raises(BuildFailed, match=r"libnothing\.so\.1: .*; install the driver"):
        kernel()


def properties(major: int, minor: int) -> SimpleNamespace:
    sizes = {"multi_processor_count": 132, "shared_memory_per_block_optin": 232448}
    return SimpleNamespace(major=major, minor=minor, name="a card", **sizes)


def test_a_card_is_described_by_what_torch_knows_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties(12, 0))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    card_of.cache_clear()
    assert card_of(torch.device("cuda", 1)) == card.Gpu(1, "sm_120", "a card", 132, 232448)
    assert card_of(torch.device("cuda")) == card.Gpu(3, "sm_120", "a card", 132, 232448)
    card_of.cache_clear()


def test_a_card_without_products_of_narrow_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties(7, 5))
    with pytest.raises(BuildFailed, match=r"a card has compute capability 7\.5; kernels in CUDA C\+\+ need 8\.0"):
        card_of(torch.device("cuda", 2))


@needs_compiler
def test_a_card_compiles_what_follows_the_prelude(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def compiled(text: str, arch: str) -> Image:
        asked.append((text, arch))
        return IMAGE

    monkeypatch.setattr(card, "compiled", compiled)
    made = card.Gpu(0, "sm_90", "a card", 132, 232448).load("// the kernel", torch.bfloat16, 64, 128)
    assert made.resident == 2
    ((text, arch),) = asked
    assert "typedef bf16_ T;" in text
    assert text.endswith("// the kernel")
    assert arch == "sm_90"
    assert calls.read_text().splitlines()[0] == "push 170"
