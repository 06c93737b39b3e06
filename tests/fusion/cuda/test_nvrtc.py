"""CUDA C++ is compiled without a card, kept on disk, and a failure says what to do."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from seqmodels.fusion.cuda import nvrtc
from seqmodels.fusion.cuda.nvrtc import Image, compiled, reason
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.kernels.folder import cache_folder, whole

needs_nvrtc = pytest.mark.skipif(reason() is not None, reason=f"CUDA C++: {reason()}")
ADD = 'extern "C" __global__ void run(float* x) {{ x[threadIdx.x] += {}; }}'
SHARED = """extern "C" __global__ void run(float* x) {
  __shared__ float s[256];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = s[255 - threadIdx.x];
}"""
CROWDED = """extern "C" __global__ void __launch_bounds__(1024, 2) run(float* x) {
  float v[64];
#pragma unroll
  for (int i = 0; i < 64; i++) v[i] = x[64 * threadIdx.x + i];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 64; i++) x[64 * threadIdx.x + i] = v[63 - i] * v[i];
}"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test a cache of its own, and a process that has compiled nothing."""
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(tmp_path / "cache"))
    forget()
    yield cache_folder()
    forget()


def forget() -> None:
    nvrtc._images.forget()
    nvrtc._library_path.cache_clear()


@needs_nvrtc
@pytest.mark.parametrize("arch", ["sm_80", "sm_89", "sm_90", "sm_120"])
def test_a_kernel_compiles_for_cards_that_are_not_there(arch: str) -> None:
    image = compiled(SHARED, arch)
    assert image.code[:4] == b"\x7fELF"
    assert image.registers > 0
    assert (image.spilled, image.shared) == (0, 1024)


@needs_nvrtc
def test_registers_that_are_missing_are_told() -> None:
    image = compiled(CROWDED, "sm_90")
    assert image.registers == 32
    assert image.spilled > 0


@needs_nvrtc
def test_another_process_loads_a_kernel_without_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    image = compiled(CROWDED, "sm_90")
    forget()
    monkeypatch.setattr(nvrtc, "_library", lambda path: pytest.fail("the compiler was loaded"))
    began = time.perf_counter()
    assert compiled(CROWDED, "sm_90") == image
    assert time.perf_counter() - began < 0.2


@needs_nvrtc
def test_a_damaged_kernel_is_compiled_anew(cache: Path) -> None:
    image = compiled(SHARED, "sm_90")
    (file,) = cache.glob("*/kernel.image")
    file.write_bytes(file.read_bytes()[:1000])
    forget()
    assert compiled(SHARED, "sm_90") == image
    (file,) = cache.glob("*/kernel.image")
    assert whole(file.parent, file.name)


@needs_nvrtc
def test_threads_compile_at_once() -> None:
    texts = [ADD.format(number) for number in range(4)]

    def together() -> list[Image]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda text: compiled(text, "sm_90"), texts))

    images = together()
    assert len({image.code for image in images}) == 4
    assert [compiled(text, "sm_90") for text in texts] == images


@needs_nvrtc
def test_what_does_not_compile_says_what_the_compiler_said() -> None:
    with pytest.raises(BuildFailed, match=r"NVRTC failed for sm_90 .*\nkernel.cu\(1\): error: .*\n.*nonsense"):
        compiled(ADD.format("nonsense"), "sm_90")


@needs_nvrtc
def test_an_architecture_that_the_compiler_does_not_know_is_named() -> None:
    with pytest.raises(BuildFailed, match=r"NVRTC failed for sm_20 .*\n.*--gpu-architecture"):
        compiled(ADD.format(1), "sm_20")


@pytest.mark.parametrize(
    ("version", "said"),
    [("12.8", r"libnvrtc\.so\.12\) .*pip install nvidia-cuda-nvrtc-cu12`"), (None, "pip install nvidia-cuda-nvrtc`")],
)
def test_without_the_compiler_the_package_is_named(
    version: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvrtc, "_folders", lambda: iter(()))
    monkeypatch.setattr(torch.version, "cuda", version)
    with pytest.raises(BuildFailed, match=said):
        compiled(SHARED, "sm_90")
    assert reason() is not None


def test_the_compiler_of_torchs_own_version_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("libnvrtc.so.12", "libnvrtc.so.13", "libnvrtc.alt.so.13"):
        (tmp_path / name).touch()
    monkeypatch.setattr(nvrtc, "_folders", lambda: iter([tmp_path / "none", tmp_path]))
    found = []
    for version in ("12.8", "13.0", None):
        nvrtc._library_path.cache_clear()
        monkeypatch.setattr(torch.version, "cuda", version)
        found.append(nvrtc._library_path())
    assert found == [tmp_path / f"libnvrtc.so.{major}" for major in (12, 13, 13)]


def test_what_is_no_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libnvrtc.so.13").write_text("nothing")
    monkeypatch.setattr(nvrtc, "_folders", lambda: iter([tmp_path]))
    with pytest.raises(BuildFailed, match=f"cannot be loaded from {tmp_path}/libnvrtc.so.13"):
        compiled(SHARED, "sm_90")
