"""Published cells that spike: step functions whose gradient is that of something smooth."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.fusion.paper_cells import HC, HCN, HIDDEN, INPUT, PaperCell, weight


def surrogate(width: float) -> Any:
    """Return a step function whose gradient is that of a bump of some width."""

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, v: Tensor) -> Tensor:
            ctx.save_for_backward(v)
            return (v > 0).to(v.dtype)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            (v,) = ctx.saved_tensors
            return gradient / (1 + width * v.abs()) ** 2

    return Spike.apply


class LeakyIntegrateAndFire(PaperCell):
    """Neftci, Mostafa and Zenke (2019), Surrogate gradient learning in spiking neural networks."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.x, self.W, self.spike = nn.Linear(INPUT, HIDDEN), weight(HIDDEN, HIDDEN), surrogate(10)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        v, z = state
        v = 0.9 * v * (1 - z.detach()) + self.x(wx) + z @ self.W.T
        z = self.spike(v - 0.5)
        return z, HC(v, z)


class AdaptiveThreshold(PaperCell):
    """Bellec et al. (2018), Long short-term memory in networks of spiking neurons: ALIF beside plain neurons."""

    shapes = ((HIDDEN,), (HIDDEN,), (HIDDEN,))
    beta: Tensor

    def build(self) -> None:
        self.x, self.W, self.spike = nn.Linear(INPUT, HIDDEN), weight(HIDDEN, HIDDEN), surrogate(5)
        self.register_buffer("beta", torch.tensor([0.0, 0, 0, 1.8, 1.8, 1.8]))

    def step(self, wx: Tensor, state: HCN) -> tuple[Tensor, HCN]:
        v, z, a = state
        W = self.W * (1 - torch.eye(HIDDEN, dtype=wx.dtype))
        a = 0.95 * a + z
        threshold = 0.3 + 0.1 * self.beta * a
        v = 0.8 * v + self.x(wx) + z @ W - z * threshold
        z = self.spike((v - threshold) / threshold)
        return z, HCN(v, z, a)


class Binarised(PaperCell):
    """Bengio, Léonard and Courville (2013), Estimating or propagating gradients through stochastic neurons.

    The slope grows while it trains (Chung et al., 2017, Hierarchical multiscale recurrent neural networks).
    """

    shapes = ((HIDDEN,), (HIDDEN,))
    slope = 2.0

    def build(self) -> None:
        self.layer = nn.Linear(INPUT + HIDDEN, 2 * HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        n, p = self.layer(torch.cat([wx, state.h], 1)).chunk(2, 1)
        p = torch.clamp((self.slope * p + 1) / 2, 0, 1)
        z = p + ((p > 0.5).to(p) - p).detach()
        h = torch.where(state.c > 0.5, torch.tanh(n), z * torch.tanh(n) + (1 - z) * state.h)
        return h, HC(h, z)
