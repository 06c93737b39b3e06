"""What every kernel's text begins with."""

from functools import lru_cache
from importlib.resources import files

import torch

NAME = "sequence"
"""What a kernel is called."""

REPLACED = {
    torch.bfloat16: ("bf16_", "cvt.rn.bf16x2.f32", "m16n8k16.row.col.f32.bf16.bf16.f32"),
    torch.float16: ("half_", "cvt.rn.f16x2.f32", "m16n8k16.row.col.f32.f16.f16.f32"),
    torch.float32: ("float", "cvt.rn.f16x2.f32", "m16n8k8.row.col.f32.tf32.tf32.f32"),  # which pairs nothing
}
"""Of each type: its name, the instruction that makes a word of two numbers, and the shape of the matrix instruction."""


@lru_cache(maxsize=8)
def prelude(dtype: torch.dtype) -> str:
    """Return the part of a kernel's text that only a GPU's compiler understands."""
    real, pair, product = REPLACED[dtype]
    text = text_of("prelude.cuh").replace("typedef TYPE T;", f"typedef {real} T;").replace('"PAIR ', f'"{pair} ')
    return text.replace("aligned.MMA ", f"aligned.{product} ")


def text_of(name: str) -> str:
    """Return a file of this package."""
    return files("seqmodels.fusion.cuda").joinpath(name).read_text(encoding="utf-8")
