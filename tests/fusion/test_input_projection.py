"""The products outside the loop, and the layout of streams in memory."""

import pytest
import torch
from torch.nn import functional as F

from seqmodels.fusion import matmul
from seqmodels.fusion.builder import Builder
from seqmodels.fusion.cpp.executor import _outputs
from seqmodels.fusion.input_projection import InterceptInputProjection
from seqmodels.fusion.layout import is_time_first
from seqmodels.fusion.matmul import outer, product, repeated
from seqmodels.fusion.ops import Op
from seqmodels.fusion.program import Program
from tests.conftest import TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("largest", [0, 2**40], ids=["BLAS", "oneDNN"])
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "with bias"])
@pytest.mark.parametrize("transposed", [False, True], ids=["rows", "columns"])
def test_a_product_is_the_matrix_product(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, largest: int, biased: bool, transposed: bool
) -> None:
    monkeypatch.setattr(matmul, "ONEDNN_OUTPUT", largest)
    a = torch.randn(7, 13, dtype=dtype).t() if transposed else torch.randn(13, 7, dtype=dtype)
    b, bias = torch.randn(11, 7, dtype=dtype).t(), torch.randn(11, dtype=dtype) if biased else None
    expected = a @ b if bias is None else a @ b + bias
    torch.testing.assert_close(product(a, b, bias), expected, **TOLERANCE[dtype])


@pytest.mark.parametrize("rows", [5, 61], ids=["few rows", "many rows"])
def test_an_outer_product_sums_over_rows(rows: int) -> None:
    a, b = torch.randn(rows, 7), torch.randn(rows, 11)
    torch.testing.assert_close(outer(a, b), torch.einsum("rm,rn->mn", a, b), **TOLERANCE[torch.float32])


@pytest.mark.parametrize("times", [1, 99], ids=["now and then", "often"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
@pytest.mark.parametrize("size", [5, 401], ids=["small", "large"])
@pytest.mark.parametrize("transposed", [False, True], ids=["straight", "transposed"])
def test_a_repeated_product_is_the_matrix_product(times: int, dtype: torch.dtype, size: int, transposed: bool) -> None:
    weight = torch.randn(size, size + 1, dtype=dtype).t() if transposed else torch.randn(size + 1, size, dtype=dtype)
    a, added = torch.randn(61, size + 1, dtype=dtype) / size, torch.randn(61, 2 * size, dtype=dtype)[:, ::2]
    with torch.no_grad():
        into, out = repeated(weight, 61, times), torch.empty(61, size, dtype=dtype)
        into(a, None, out)
        torch.testing.assert_close(out, a @ weight, **TOLERANCE[dtype])
        into(a, added, out)
        torch.testing.assert_close(out, a @ weight + added, **TOLERANCE[dtype])
        into(torch.cat([a, a], -1)[:, : size + 1], None, out)
        torch.testing.assert_close(out, a @ weight, **TOLERANCE[dtype])


def test_the_operator_without_a_public_name_is_there() -> None:
    assert (matmul._onednn is not None) == torch.backends.mkldnn.is_available()


@pytest.mark.parametrize("biased", [False, True], ids=["plain", "with bias"])
@pytest.mark.parametrize("size", [3, 101], ids=["time first", "batch first"])
def test_an_intercepted_linear_is_linear_with_all_its_gradients(biased: bool, size: int) -> None:
    x = torch.randn(5, 107, size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(301, size, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(301, dtype=torch.float64, requires_grad=True) if biased else None
    inputs = [t for t in (x, weight, bias) if t is not None]
    expected = F.linear(x, weight, bias)
    with InterceptInputProjection():
        actual = F.linear(x, weight, bias)
    assert type(actual.grad_fn) is not type(expected.grad_fn), "the large product was not taken"
    assert is_time_first(actual) == (size == 3)
    torch.testing.assert_close(actual, expected, **TOLERANCE[torch.float64])
    pairs = zip(*(torch.autograd.grad(y.sin().sum(), inputs) for y in (actual, expected)), strict=True)
    for mine, torchs in pairs:
        torch.testing.assert_close(mine, torchs, **TOLERANCE[torch.float64])


def test_an_intercepted_linear_without_gradients_keeps_the_layout_of_its_input() -> None:
    x, weight = torch.randn(5, 107, 3), torch.randn(1001, 3)
    with InterceptInputProjection(), torch.no_grad():
        wx = F.linear(x, weight)
    assert wx.is_contiguous()
    torch.testing.assert_close(wx, F.linear(x, weight), **TOLERANCE[torch.float32])


def test_an_intercepted_linear_with_time_first_can_be_viewed_as_torchs_can() -> None:
    x, weight = torch.randn(5, 107, 3), torch.randn(1001, 3)
    with InterceptInputProjection():
        wx = F.linear(x, weight)
        rows = wx.view(5 * 107, 1001)
    assert is_time_first(wx)
    torch.testing.assert_close(rows, F.linear(x, weight).flatten(0, 1), **TOLERANCE[torch.float32])


@pytest.mark.parametrize("time_first", [False, True], ids=["batch first", "time first"])
def test_what_is_kept_lies_apart_and_wide_streams_begin_with_a_cache_line(time_first: bool) -> None:
    leaf = Builder().leaf
    groups = tuple((leaf(Op.STREAM, 0, i, size),) for i, size in enumerate((7, 1, 33, 1, 16)))
    program = Program((51,), (), (), (), groups, ())
    like = torch.empty(5, 3, 51).transpose(0, 1) if time_first else torch.empty(3, 5, 51)
    streams = _outputs(program, like)
    for number, stream in enumerate(streams):
        assert stream.shape[:2] == (3, 5)
        assert stream.stride(-1) == 1
        stream.fill_(number)
    assert streams[0].is_contiguous()
    assert all(bool((stream == number).all()) for number, stream in enumerate(streams))
    for wide in (streams[2], streams[4]):
        assert is_time_first(wide) == time_first
        assert [wide[b, t].data_ptr() % 64 for b in range(3) for t in range(5)] == [wide.data_ptr() % 64] * 15
        assert (wide.data_ptr() - streams[2].data_ptr()) % 64 == 0


def test_small_and_narrow_calls_are_left_to_torch() -> None:
    with InterceptInputProjection():
        assert "Linear" not in type(F.linear(torch.ones(2, 3, requires_grad=True), torch.ones(4, 3)).grad_fn).__name__
