"""The emulator: its numbers are the card's, and it finds what would hang, crash or race there."""

from array import array

import pytest
import torch
from torch import Tensor

from tests.fusion.cuda.emulator import Emulated
from tests.fusion.running import needs_compiler

pytestmark = needs_compiler
TYPES = [torch.float32, torch.bfloat16, torch.float16]
HEAD = """constexpr int LIMIT = 1 << 22;
struct Args { const T* a; const T* b; float* out; int64_t number; };
KERNEL(sequence) {
  SHARED_MEMORY(shared);
  const int t = threadIdx.x, lane = t % 32;
"""


def run(
    body: str,
    a: Tensor,
    b: Tensor,
    out: Tensor,
    number: int = 0,
    *,
    threads: int = 64,
    blocks: int = 2,
    seed: int | None = None,
) -> Tensor:
    kernel = Emulated(HEAD + body + "\n}\n", a.dtype, threads, 4 * threads, disorder=seed)
    kernel.launch(blocks, array("q", [a.data_ptr(), b.data_ptr(), out.data_ptr(), number]))
    return out


def every_number(dtype: torch.dtype) -> Tensor:
    """Return numbers of float32, among them those on both sides of where rounding to a narrow type changes."""
    patterns = torch.arange(-(2**15), 2**15, dtype=torch.int32)
    if dtype == torch.float16:
        exact = patterns.to(torch.int16).view(torch.float16).float()
    else:
        exact = (patterns << 16).view(torch.float32)
    near = exact.view(torch.int32)[:, None] + torch.tensor([0, 1, -1, 0x1000, 0xFFF, 0x1001, 0x8000, 0x7FFF, 0x8001])
    return near.to(torch.int32).view(torch.float32).flatten()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_numbers_are_rounded_as_torch_rounds_them(dtype: torch.dtype) -> None:
    numbers = every_number(dtype)
    got = torch.empty(len(numbers), dtype=dtype)
    body = """for (int i = blockIdx.x * 64 + t; i < a.number; i += 128) {
  store((T*)a.a + i, a.out[i]);
  a.out[i] = load(a.a + i);
}"""
    wide = run(body, got, got, numbers.clone(), len(numbers))
    assert torch.equal(got.nan_to_num(7), numbers.to(dtype).nan_to_num(7))
    assert torch.equal(wide.nan_to_num(7), got.float().nan_to_num(7))
    assert set(got[got.isnan()].view(torch.int16).tolist()) == {0x7FFF}


def test_tf32_has_ten_digits_and_halves_go_away_from_zero() -> None:
    numbers = torch.tensor([1.0, 1 + 2**-11, 1 + 2**-12, -1 - 2**-11, 1 + 3 * 2**-11, float("inf"), float("nan")])
    wanted = torch.tensor([1.0, 1 + 2**-10, 1.0, -1 - 2**-10, 1 + 2**-9, float("inf"), float("nan")])
    body = "if (t < a.number && blockIdx.x == 0) a.out[t] = as_float(rounded(as_bits(a.out[t])));"
    assert torch.equal(run(body, numbers, numbers, numbers.clone(), 7).nan_to_num(7), wanted.nan_to_num(7))


@pytest.mark.parametrize("dtype", TYPES)
def test_a_product_of_a_warp_is_a_matrix_product(dtype: torch.dtype) -> None:
    """Each lane gives two rows of ``a`` and a column of ``b``, numbers of equal place in both."""
    depth = 8 if dtype == torch.float32 else 16
    a, b, out = torch.randn(16, depth).to(dtype), torch.randn(8, depth).to(dtype), torch.zeros(16, 8)
    if dtype == torch.float32:  # of which TF32 keeps every digit
        a, b = a.bfloat16().float(), b.bfloat16().float()
    body = f"""if (t < 32 && blockIdx.x == 0) {{
  const int k = lane % 4 * {depth // 8}, half = {depth // 2}, row = lane / 4;
  const auto word = [&](const T* m, int row, int k) {{ return *(const uint32_t*)(m + row * {depth} + k); }};
  float c[4] = {{0.f, 0.f, 0.f, 0.f}};
  mma(c, word(a.a, row, k), word(a.a, row + 8, k), word(a.a, row, k + half), word(a.a, row + 8, k + half),
      word(a.b, row, k), word(a.b, row, k + half));
  for (int i = 0; i < 4; i++) a.out[(row + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = c[i];
}}"""
    torch.testing.assert_close(run(body, a, b, out), a.float() @ b.float().T)


def test_a_product_ignores_digits_that_tf32_does_not_have() -> None:
    a, out = torch.full((16, 8), 1 + 2**-11), torch.zeros(1)
    body = """float c[4] = {0.f, 0.f, 0.f, 0.f};
mma(c, as_bits(*a.a), 0, 0, 0, as_bits(1.f), 0);
if (t == 0) *a.out = c[0];"""
    assert run(body, a, a, out).item() == 4


@pytest.mark.parametrize("seed", [None, 1])
def test_lanes_of_a_warp_read_each_other(seed: int | None) -> None:
    x, out = torch.zeros(1), torch.zeros(5, 64)
    body = """if (blockIdx.x == 0) {
  a.out[t] = __shfl_sync(ALL, t, 5);
  a.out[64 + t] = __shfl_down_sync(ALL, (float)t, 1);
  a.out[128 + t] = __shfl_up_sync(ALL, (float)t, 2);
  a.out[192 + t] = __shfl_xor_sync(ALL, (float)t, 16);
  a.out[256 + t] = __any_sync(ALL, t == 40) + 2 * __all_sync(ALL, t < 32) + 4 * (__ballot_sync(ALL, lane == 3) == 8);
}"""
    run(body, x, x, out, seed=seed)
    t = torch.arange(64)
    warp, lane = t // 32 * 32, t % 32
    assert out[0].tolist() == (warp + 5).tolist()
    assert out[1].tolist() == torch.where(lane < 31, t + 1, t).tolist()
    assert out[2].tolist() == torch.where(lane > 1, t - 2, t).tolist()
    assert out[3].tolist() == (t ^ 16).tolist()
    assert out[4].tolist() == [6] * 32 + [5] * 32


REVERSE = "shared[t] = t;\n{}\na.out[blockIdx.x * 64 + t] = shared[63 - t];"


@pytest.mark.parametrize("seed", [None, 1])
def test_a_barrier_that_is_missing_shows(seed: int | None) -> None:
    x, wanted = torch.zeros(1), torch.arange(63.0, -1, -1).repeat(2)
    assert torch.equal(run(REVERSE.format("__syncthreads();"), x, x, torch.zeros(128), seed=seed), wanted)
    assert not torch.equal(run(REVERSE.format(""), x, x, torch.zeros(128), seed=seed), wanted)


HAND_ON = """if (blockIdx.x == 0) put(a.out + 64 + t, t + 1), put(a.out + t, 1);
else {
  while (peek(a.out + t) == ALL) {}
  a.out[128 + t] = peek(a.out + 64 + t);
}"""


def test_words_arrive_in_no_order() -> None:
    """That one word has come says nothing of another: a kernel that relies on it is wrong on a card, now and then."""
    x = torch.zeros(1)

    def received(seed: int | None) -> Tensor:
        out = torch.full((192,), -1, dtype=torch.int32).view(torch.float32)
        return run(HAND_ON, x, x, out, seed=seed)[128:]

    wanted = torch.arange(1.0, 65)
    assert torch.equal(received(None), wanted)
    assert all(not torch.equal(received(seed), wanted) for seed in range(3))
    assert torch.equal(received(1), received(1)), "a seed stands for one order"


@pytest.mark.parametrize("seed", [None, 1])
def test_a_block_sees_its_own_words(seed: int | None) -> None:
    x, out = torch.zeros(1), torch.zeros(128)
    body = "float* p = a.out + 64 * blockIdx.x;\nput(p + t, t);\n__syncthreads();\na.out[0] += load(p + t) != t;"
    assert run(body.replace("put(p + t, t)", "put(p + t, as_bits((float)t))"), x, x, out, seed=seed)[0] in (0, 1)
    assert out[1:64].tolist() == list(range(1, 64))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "if (t) __syncthreads();",
            "thread .* of block .: waits at a barrier, a shuffle or a product that others never",
        ),
        ("if (lane != 7) __any_sync(ALL, true);", "waits at a barrier, a shuffle"),
        ("*(uint4*)(shared + 1) = uint4{0, 0, 0, 0};", "an address is not a multiple of the type's size in line 6"),
        ("float v[3];\nv[a.number + t] = 1;", "thread 3 of block 0: an index is beyond its array in line 7"),
        ("shared[t + 1] = 0;", "block 0 wrote past its 256 bytes of shared memory"),
    ],
)
def test_what_would_hang_or_crash_is_told(body: str, said: str) -> None:
    x = torch.zeros(64)
    with pytest.raises(AssertionError, match=said):
        run(body, x, x, x)
    run("a.out[t] = 1;", x, x, x)  # the next launch is as good as any
    assert x.sum() == 64


def test_a_wait_without_end_ends() -> None:
    x = torch.full((128,), -1, dtype=torch.int32).view(torch.float32)
    body = """int budget = LIMIT;
while (peek(a.out + t) == ALL && --budget > 0) {}
a.out[64 + t] = budget;"""
    assert run(body, x, x, x)[64:].tolist() == [0] * 64
