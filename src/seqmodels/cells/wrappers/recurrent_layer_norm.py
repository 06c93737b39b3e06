"""Layer normalisation of the recurrent products, gate by gate."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Projected, State
from seqmodels.cells.wrappers.recurrent_products import Multiply, RecurrentProducts, join, recurrent_blocks
from seqmodels.cells.wrappers.wrapper import Wrapper, example_input


class RecurrentLayerNorm(Wrapper[State]):
    r"""Layer normalisation of each recurrent product (Ba et al., 2016, arXiv 1607.06450), separately for each gate.

    .. math::

        W_{hk} h_{t-1} \to LN(W_{hk} h_{t-1}; \alpha_k, \beta_k)

    The gains :math:`\alpha` are ``gain (gates * hidden,)`` and start at 1, the shifts :math:`\beta` are ``bias (gates *
    hidden,)`` and start at 0; rows are ordered as the cell's gates. What the input and the cell's own bias contribute
    is not normalised.

    Args:
        cell: the cell to wrap; gains and shifts take its device and dtype.

    Raises:
        ValueError: the cell has no recurrent product.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> RecurrentLayerNorm(GRUCell(4, 5)).gain.shape
        torch.Size([15])
    """

    def __init__(self, cell: Cell[State]) -> None:
        super().__init__(cell)
        self.blocks, _ = recurrent_blocks(self.core, type(self).__name__)
        like = example_input(cell)
        self.gain = nn.Parameter(torch.ones(self.blocks * cell.hidden_size, device=like.device, dtype=like.dtype))
        self.bias = nn.Parameter(torch.zeros_like(self.gain))

    def step(self, wx: Projected, state: State) -> tuple[Tensor, State]:
        gains, biases = self.gain.chunk(self.blocks), self.bias.chunk(self.blocks)

        def normalise(multiply: Multiply, operand: Tensor, weight: Tensor, blocks: range) -> Tensor:
            parts = multiply(operand, weight).chunk(len(blocks), dim=-1)
            return join([F.layer_norm(parts[j], gains[k].shape, gains[k], biases[k]) for j, k in enumerate(blocks)])

        with RecurrentProducts(self.core, normalise):
            return super().step(wx, state)

    def reset_parameters(self) -> None:
        """Draw the parameters of the wrapped cell again; set gains to 1 and shifts to 0."""
        super().reset_parameters()
        nn.init.ones_(self.gain)
        nn.init.zeros_(self.bias)
