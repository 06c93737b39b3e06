"""Dropout inside the recurrent products, one mask per sequence and gate."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Projected, State
from seqmodels.cells.wrappers.recurrent_products import Multiply, RecurrentProducts, join, recurrent_blocks
from seqmodels.cells.wrappers.wrapper import Wrapper, check_probability


class MaskedInput(NamedTuple):
    """What a step of :class:`RecurrentDropout` reads."""

    wx: Projected  # of the wrapped cell
    mask: Tensor  # (batch, time, gates * size)  the same at every step


class RecurrentDropout(Wrapper[State]):
    r"""Dropout of what the recurrent weights are multiplied with (Gal and Ghahramani, 2016, arXiv 1512.05287).

    .. math::

        W_{hk} h_{t-1} \to W_{hk} (m_k \odot h_{t-1})

    as Keras' ``recurrent_dropout``: each gate k of each sequence has its own mask :math:`m_k`, the same at all steps.
    A mask zeroes each unit with probability ``p`` and divides the others by 1 - p. It applies to products alone: what
    a cell carries over without one, as :math:`(1 - z_t) \odot h_{t-1}` in a GRU, is not masked. Where the operand is
    itself computed (:math:`r_t \odot h_{t-1}`), the mask applies to the result. In evaluation nothing is dropped.

    Args:
        cell: the cell to wrap.
        p: probability that a unit is zeroed.

    Raises:
        ValueError: ``p`` is outside [0, 1), or the cell has no recurrent product.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> RecurrentDropout(GRUCell(4, 5), p=0.25).project(torch.zeros(3, 7, 4)).mask.shape
        torch.Size([3, 7, 15])
    """

    def __init__(self, cell: Cell[State], p: float) -> None:
        super().__init__(cell)
        self.p = check_probability("p", p, below_one=True)
        self.blocks, self.size = recurrent_blocks(self.core, type(self).__name__)

    def is_identity(self) -> bool:
        return not self.training or self.p == 0

    def project(self, x: Tensor) -> MaskedInput:
        ones = x.new_ones(x.shape[0], *[1] * (x.dim() - 2), self.blocks * self.size)
        mask = F.dropout(ones, self.p, self.training).expand(*x.shape[:-1], -1)
        return MaskedInput(super().project(x), mask)

    def step(self, wx: MaskedInput, state: State) -> tuple[Tensor, State]:
        masks = wx.mask.chunk(self.blocks, dim=-1)

        def drop(multiply: Multiply, operand: Tensor, weight: Tensor, blocks: range) -> Tensor:
            rows = weight.chunk(len(blocks))
            return join([multiply(operand * masks[k], rows[j]) for j, k in enumerate(blocks)])

        with RecurrentProducts(self.core, drop):
            return super().step(wx.wx, state)

    def extra_repr(self) -> str:
        return f"p={self.p}"
