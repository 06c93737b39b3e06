"""Large memory that is used again."""

import copy
import io
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels.backends import unroll
from seqmodels.cells import Cell, GRUCell, LSTMCell
from seqmodels.system import memory
from seqmodels.system.memory import LARGE, Pool, empty_pooled
from tests.backends.fakes import assert_same

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is PyTorch's")
BYTE = torch.zeros(1, dtype=torch.uint8)
SIZE = 5 * LARGE
SMAPS = Path("/proc/self/smaps_rollup")


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """A pool of the test's own."""
    created = Pool()
    monkeypatch.setattr(memory, "_pool", created)
    return created


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("columns", [5, 3_000_017], ids=["small", "large"])
def test_pooled_memory_is_memory_like_any_other(columns: int, dtype: torch.dtype) -> None:
    created = empty_pooled((3, columns), torch.zeros(1, dtype=dtype))
    assert created.shape == (3, columns)
    assert created.dtype == dtype
    created.fill_(1)
    assert created.long().sum() == 3 * columns
    assert created.untyped_storage().nbytes() == created.numel() * created.element_size()
    file = io.BytesIO()
    torch.save(created, file)
    assert file.tell() < created.untyped_storage().nbytes() + 4096
    assert torch.equal(copy.deepcopy(created), created)
    created.share_memory_()
    assert created.is_shared()
    assert created.long().sum() == 3 * columns


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode, lambda: torch.device("meta")])
def test_pooled_memory_is_a_view_of_nothing(mode: Callable[[], AbstractContextManager[object]]) -> None:
    like = torch.zeros(1)
    with mode():
        created = empty_pooled((3, 5, LARGE // 16), like)
        assert not created._is_view()
        assert created._base is None
        assert created.is_contiguous()
        assert not created.untyped_storage().resizable()  # from the pool
        created.fill_(1).mul_(2)
    assert created[2, 4, -1] == 2


@pytest.mark.parametrize("cell", [GRUCell(3, 17), LSTMCell(3, 17)], ids=lambda cell: type(cell).__name__)
@pytest.mark.parametrize("change", [lambda y: y.add_(1), lambda y: y.mul_(2), lambda y: y[:, 1::2].neg_()])
def test_large_outputs_may_be_changed_in_place(
    cell: Cell[Any], change: Callable[[Tensor], Tensor], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "LARGE", 1)  # all are large, and the test is fast
    sequences = torch.randn(5, 64, 3, dtype=torch.float64)

    def through(backend: str) -> dict[str, Tensor]:
        x = sequences.clone().requires_grad_()
        y, final = unroll(cell.double(), x, backend=backend)
        change(y)
        final[0].mul_(3)
        inputs = {"x": x, **dict(cell.named_parameters())}
        loss = y.sin().sum() + final[0].cos().sum()
        gradients = dict(zip(inputs, torch.autograd.grad(loss, list(inputs.values())), strict=True))
        return {"y": y.detach(), "final": final[0].detach(), **gradients}

    assert_same(through("fused"), through("eager"))
    assert pool.idle  # outputs came from it


def test_memory_is_used_again_once_nobody_looks_at_it(pool: Pool) -> None:
    first = empty_pooled((SIZE,), BYTE)
    place, view = first.data_ptr(), first.view(-1, 4)[:, 1]
    del first
    second = empty_pooled((SIZE,), BYTE)
    assert second.data_ptr() != place
    del view
    third = empty_pooled((SIZE,), BYTE)
    assert third.data_ptr() == place
    assert not pool.idle
    del second, third
    assert len(pool.idle) == 2


def test_half_of_a_piece_is_the_least_that_it_is_used_for(pool: Pool) -> None:
    empty_pooled((SIZE,), BYTE)
    for size, used in ((SIZE // 2, True), (SIZE // 2 - LARGE, False), (SIZE + LARGE, False)):
        before = len(pool.idle)
        created = empty_pooled((size,), BYTE)
        assert len(pool.idle) == before - used
        del created


def test_the_best_fit_is_taken() -> None:
    larger, best = empty_pooled((SIZE + LARGE,), BYTE), empty_pooled((SIZE,), BYTE)
    place = best.data_ptr()
    del best, larger
    assert empty_pooled((SIZE,), BYTE).data_ptr() == place


def test_what_was_used_last_is_kept_longest(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT", 2 * SIZE)
    pieces = [empty_pooled((SIZE,), BYTE) for _ in range(4)]
    places = [piece.data_ptr() for piece in pieces]
    while pieces:
        del pieces[0]
    assert len(pool.idle) == 2
    again = [empty_pooled((SIZE,), BYTE) for _ in range(2)]
    assert {piece.data_ptr() for piece in again} == set(places[2:])


@pytest.mark.skipif(not SMAPS.exists(), reason="the system does not say what it may take back")
def test_the_system_may_take_what_nobody_uses() -> None:
    def needed() -> int:
        sizes = {line.split(":")[0]: line.split()[1] for line in SMAPS.read_text(encoding="utf-8").splitlines()[1:]}
        return (int(sizes["Rss"]) - int(sizes["LazyFree"])) << 10  # under pressure what may be taken is taken at once

    created = empty_pooled((SIZE,), BYTE).fill_(1)
    before = needed()
    del created
    assert needed() <= before - SIZE + LARGE


def test_memory_that_the_system_does_not_have_is_asked_for_at_pytorch(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_: int) -> None:
        raise OSError("cannot allocate memory")

    empty_pooled((SIZE,), BYTE)
    assert pool.idle
    monkeypatch.setattr(memory, "_mapped", nothing)
    assert empty_pooled((3 * SIZE,), BYTE).untyped_storage().resizable()
    assert not pool.idle


def test_threads_never_share_a_piece() -> None:
    wrong = []

    def work(number: int) -> None:
        held: list[Tensor] = []
        for turn in range(60):
            held.append(empty_pooled((SIZE + turn % 3,), BYTE)[: LARGE // 64].fill_(number))
            if len(held) == 3 and any(not bool((piece == number).all()) for piece in held):
                wrong.append(number)
            held = held[-2:]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_process_ends_in_peace_while_memory_is_in_use() -> None:
    code = (
        "import torch; from seqmodels import unroll\n"
        "from seqmodels.system import memory; from seqmodels.cells import LSTMCell\n"
        "memory.LARGE = 1\n"
        "y, state = unroll(LSTMCell(3, 64), torch.randn(8, 64, 3, requires_grad=True), backend='fused')\n"
        "torch.kept = [y, state, y.sum()]\n"
        "held = memory.empty_pooled((5 << 20,), torch.zeros(1, dtype=torch.uint8))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
