"""Layer-normalised gated recurrent unit."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Device, DType, empty_parameters


class LayerNormGRUState(NamedTuple):
    h: Tensor  # (batch, hidden)


class LayerNormGRUCell(Cell[LayerNormGRUState]):
    r"""GRU with layer normalisation (Ba, Kiros and Hinton, 2016, arXiv 1607.06450, supplementary material).

    .. math::

        (z_t, r_t) &= \sigma(LN(W_{x,zr} x_t; \alpha_x) + LN(W_{h,zr} h_{t-1}; \alpha_h) + b_{zr})              \\
        n_t &= \tanh(LN(W_{xn} x_t; \alpha_{xn}) + b_n + r_t \odot LN(W_{hn} h_{t-1}; \alpha_{hn}, \beta_{hn}))  \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t

    The two gates are normalised together and the candidate separately, as printed; the reset comes after the product.
    ``gain_ih`` and ``gain_hh (3 * hidden,)`` hold the gains of both. Shifts that are added are one parameter, ``bias``;
    the shift that the reset gate scales is ``bias_hn``. Gains start at 1 and shifts at 0.

    Args:
        input_size: size of the input.
        hidden_size: size of the state.
        device, dtype: of the parameters, as in ``torch.nn``.

    Raises:
        ValueError: a size is not a positive whole number.

    Example:
        >>> y, state = LayerNormGRUCell(4, 5)(torch.zeros(3, 4))
        >>> y.shape, state.h.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    gates = ("z", "r", "n")

    def __init__(self, input_size: int, hidden_size: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        empty = empty_parameters(device, dtype)
        self.weight_ih = empty(3 * hidden_size, input_size)
        self.weight_hh = empty(3 * hidden_size, hidden_size)
        self.bias = empty(3 * hidden_size)
        self.bias_hn = empty(hidden_size)
        self.gain_ih = empty(3 * hidden_size)
        self.gain_hh = empty(3 * hidden_size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as other cells do; gains start at 1, shifts at 0."""
        super().reset_parameters()
        for gain in (self.gain_ih, self.gain_hh):
            nn.init.ones_(gain)
        for shift in (self.bias, self.bias_hn):
            nn.init.zeros_(shift)

    def initial_state(self, x: Tensor) -> LayerNormGRUState:
        return LayerNormGRUState(h=self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return self._normalise(F.linear(x, self.weight_ih), self.gain_ih) + self.bias  # (..., 3 * hidden)

    def step(self, wx: Tensor, state: LayerNormGRUState) -> tuple[Tensor, LayerNormGRUState]:
        (h,) = state
        xz, xr, xn = wx.chunk(3, dim=-1)
        hz, hr, hn = self._normalise(F.linear(h, self.weight_hh), self.gain_hh).chunk(3, dim=-1)
        z = (xz + hz).sigmoid()
        r = (xr + hr).sigmoid()
        n = (xn + r * (hn + self.bias_hn)).tanh()
        h = (1 - z) * h + z * n
        return h, LayerNormGRUState(h)

    def _normalise(self, product: Tensor, gain: Tensor) -> Tensor:
        """Normalise the gates of ``product (..., 3 * hidden)`` together and its candidate separately."""
        sizes = [2 * self.hidden_size, self.hidden_size]
        parts = zip(product.split(sizes, dim=-1), gain.split(sizes), strict=True)
        return torch.cat([F.layer_norm(part, part_gain.shape, part_gain) for part, part_gain in parts], dim=-1)
