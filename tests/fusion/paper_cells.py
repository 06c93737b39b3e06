"""Recurrent cells as published, written as a user would write them who has never heard of kernels.

Each has a line that cites where it comes from. What it is compared with is itself, run by ``eager``: the equations need
not be those of the paper to the letter.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.cells import Cell

INPUT, HIDDEN = 4, 6


class H(NamedTuple):
    h: Tensor


class HC(NamedTuple):
    h: Tensor
    c: Tensor


class HCN(NamedTuple):
    h: Tensor
    c: Tensor
    n: Tensor


class HCNM(NamedTuple):
    h: Tensor
    c: Tensor
    n: Tensor
    m: Tensor


class PaperCell(Cell[Any]):
    """A cell whose state begins with zeros of the shapes that :attr:`shapes` lists, and which projects nothing."""

    shapes: tuple[tuple[int, ...], ...] = ((HIDDEN,),)

    def __init__(self) -> None:
        super().__init__()
        self.input_size, self.hidden_size = INPUT, HIDDEN
        self.build()

    def build(self) -> None:
        """Make parameters, buffers and layers."""

    def initial_state(self, x: Tensor) -> Any:
        return (H, HC, HCN, HCNM)[len(self.shapes) - 1](*(x.new_zeros(x.shape[0], *shape) for shape in self.shapes))

    def project(self, x: Tensor) -> Any:
        return x


def weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape) / shape[-1] ** 0.5)
