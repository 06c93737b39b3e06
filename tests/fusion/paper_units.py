"""Published cells made small: few gates, few products, or none; and weights that are computed."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.fusion.paper_cells import HC, HIDDEN, INPUT, H, PaperCell, weight


class SRU(PaperCell):
    """Lei et al. (2018), Simple recurrent units for highly parallelizable recurrence."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.layer, self.v_f, self.v_r = nn.Linear(INPUT, 4 * HIDDEN), weight(HIDDEN), weight(HIDDEN)

    def project(self, x: Tensor) -> Tensor:
        return self.layer(x)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        x, n, f, r = wx.chunk(4, -1)
        f, r = torch.sigmoid(f + self.v_f * state.c), torch.sigmoid(r + self.v_r * state.c)
        c = f * state.c + (1 - f) * n
        h = r * c + (1 - r) * x
        return h, HC(h, c)


class QRNN(PaperCell):
    """Bradbury et al. (2017), Quasi-recurrent neural networks: a convolution of width two, fo-pooling."""

    def build(self) -> None:
        self.layer = nn.Linear(2 * INPUT, 3 * HIDDEN)

    def project(self, x: Tensor) -> Tensor:
        before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
        z, f, o = self.layer(torch.cat([before, x], -1)).chunk(3, -1)
        return torch.cat([z.tanh(), f.sigmoid(), o.sigmoid()], -1)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        z, f, o = wx.chunk(3, -1)
        c = f * state.h + (1 - f) * z
        return o * c, H(c)


class LiGRU(PaperCell):
    """Ravanelli et al. (2018), Light gated recurrent units for speech recognition: batch norm on the way in."""

    def build(self) -> None:
        self.layer, self.norm = nn.Linear(INPUT, 2 * HIDDEN, bias=False), nn.BatchNorm1d(2 * HIDDEN)
        self.U = weight(2 * HIDDEN, HIDDEN)

    def project(self, x: Tensor) -> Tensor:
        return self.norm(self.layer(x).transpose(1, 2)).transpose(1, 2)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        z, a = (wx + state.h @ self.U.t()).chunk(2, 1)
        z = torch.sigmoid(z)
        h = z * state.h + (1 - z) * torch.relu(a)
        return h, H(h)


class MinimalRNN(PaperCell):
    """Chen (2017), MinimalRNN: toward more interpretable and trainable recurrent neural networks."""

    def build(self) -> None:
        self.layer, self.U, self.V = nn.Linear(INPUT, HIDDEN), weight(HIDDEN, HIDDEN), weight(HIDDEN, HIDDEN)
        self.b = weight(HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        z = torch.tanh(self.layer(wx))
        u = torch.sigmoid(state.h @ self.U + z @ self.V + self.b)
        h = u * state.h + (1 - u) * z
        return h, H(h)


class FastGRNN(PaperCell):
    """Kusupati et al. (2018), FastGRNN: matrices of low rank, shared by the gate and the candidate."""

    def build(self) -> None:
        self.W, self.U = weight(HIDDEN, INPUT), nn.ParameterList([weight(HIDDEN, 2), weight(HIDDEN, 2)])
        self.b_z, self.b_h, self.zeta, self.nu = weight(HIDDEN), weight(HIDDEN), weight(1), weight(1)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        both = wx @ self.W.T + state.h @ (self.U[0] @ self.U[1].T).T
        z = torch.sigmoid(both + self.b_z)
        n = torch.tanh(both + self.b_h)
        h = (torch.sigmoid(self.zeta) * (1 - z) + torch.sigmoid(self.nu)) * n + z * state.h
        return h, H(h)


class ChaosFree(PaperCell):
    """Laurent and von Brecht (2017), A recurrent neural network without chaos."""

    def build(self) -> None:
        self.gate, self.W = nn.Linear(INPUT + HIDDEN, 2 * HIDDEN), weight(HIDDEN, INPUT)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        theta, eta = self.gate(torch.cat([state.h, wx], 1)).sigmoid().chunk(2, 1)
        h = theta * state.h.tanh() + eta * (wx @ self.W.T).tanh()
        return h, H(h)


class MinGRU(PaperCell):
    """Feng et al. (2024), Were RNNs all we needed?"""

    def build(self) -> None:
        self.z, self.n = nn.Linear(INPUT, HIDDEN), nn.Linear(INPUT, HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        z, n = torch.sigmoid(self.z(wx)), self.n(wx)
        h = (1 - z) * state.h + z * torch.where(n >= 0, n + 0.5, n.sigmoid())
        return h, H(h)


class MinLSTM(PaperCell):
    """Feng et al. (2024), Were RNNs all we needed? Gates that sum to one."""

    def build(self) -> None:
        self.layer = nn.Linear(INPUT, 3 * HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        f, i, n = self.layer(wx).view(-1, 3, HIDDEN).unbind(1)
        f, i = f.sigmoid(), i.sigmoid()
        h = f / (f + i) * state.h + i / (f + i) * n
        return h, H(h)


class IndRNN(PaperCell):
    """Li et al. (2018), Independently recurrent neural network: building a longer and deeper RNN."""

    def build(self) -> None:
        self.layer, self.u = nn.Linear(INPUT, HIDDEN), weight(HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = F.relu(self.layer(wx) + self.u.clamp(-1, 1) * state.h)
        return h, H(h)


class Additive(PaperCell):
    """Lee, Levy and Zettlemoyer (2017), Recurrent additive networks."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.content, self.layer = nn.Linear(INPUT, HIDDEN, bias=False), nn.Linear(INPUT + HIDDEN, 2 * HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        i, f = torch.sigmoid(self.layer(torch.cat([state.h, wx], -1))).split(HIDDEN, -1)
        c = i * self.content(wx) + f * state.c
        return torch.tanh(c), HC(torch.tanh(c), c)


class Bistable(PaperCell):
    """Vecoven, Ernst and Drion (2021), A bio-inspired bistable recurrent cell."""

    def build(self) -> None:
        self.layer, self.w_a, self.w_c = nn.Linear(INPUT, 3 * HIDDEN), weight(HIDDEN), weight(HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        a, c, u = self.layer(wx).chunk(3, -1)
        a, c = 1 + torch.tanh(a + self.w_a * state.h), torch.sigmoid(c + self.w_c * state.h)
        h = c * state.h + (1 - c) * torch.tanh(u + a * state.h)
        return h, H(h)


class HyperRNN(PaperCell):
    """Ha, Dai and Le (2017), Hypernetworks: a small network scales the rows of a larger one's weights."""

    shapes = ((HIDDEN,), (3,))

    def build(self) -> None:
        self.small, self.scale = nn.RNNCell(INPUT + HIDDEN, 3), nn.Linear(3, 2 * HIDDEN)
        self.x, self.h = nn.Linear(INPUT, HIDDEN), nn.Linear(HIDDEN, HIDDEN, bias=False)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        small = self.small(torch.cat([wx, state.h], -1), state.c)
        d_x, d_h = self.scale(small).chunk(2, -1)
        h = torch.tanh(d_x * self.x(wx) + d_h * self.h(state.h))
        return h, HC(h, small)


class Masked(NamedTuple):
    wx: Tensor
    mask: Tensor


class RecurrentDropoutLSTM(PaperCell):
    """Semeniuta, Severyn and Barth (2016), Recurrent dropout without memory loss: masks come from ``project``."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.x, self.h = nn.Linear(INPUT, 4 * HIDDEN), nn.Linear(HIDDEN, 4 * HIDDEN)

    def project(self, x: Tensor) -> Masked:
        return Masked(self.x(x), F.dropout(x.new_ones(*x.shape[:-1], HIDDEN), 0.25))

    def step(self, wx: Masked, state: HC) -> tuple[Tensor, HC]:
        i, f, g, o = (wx.wx + self.h(state.h)).chunk(4, -1)
        c = f.sigmoid() * state.c + i.sigmoid() * (g.tanh() * wx.mask)
        h = o.sigmoid() * c.tanh()
        return h, HC(h, c)


class TernaryGRU(PaperCell):
    """Ott et al. (2016), Recurrent neural networks with limited numerical precision: straight-through estimator."""

    def build(self) -> None:
        self.W, self.U = weight(3 * HIDDEN, INPUT), weight(3 * HIDDEN, HIDDEN)

    def ternary(self, w: Tensor) -> Tensor:
        limit = 0.7 * w.abs().mean()
        values = torch.where(w > limit, 1.0, torch.where(w < -limit, -1.0, 0.0))
        return w + (values - w).detach()

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        xr, xz, xn = F.linear(wx, self.ternary(self.W)).chunk(3, -1)
        hr, hz, hn = F.linear(state.h, self.ternary(self.U)).chunk(3, -1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        h = z * state.h + (1 - z) * torch.tanh(xn + r * hn)
        return h, H(h)


class GatedFeedback(PaperCell):
    """Chung et al. (2015), Gated feedback recurrent neural networks: two layers see each other through gates."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.down, self.up = nn.Linear(INPUT, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.U = nn.ParameterList(weight(HIDDEN, HIDDEN) for _ in range(4))
        self.gate_1, self.gate_2 = nn.Linear(INPUT + 2 * HIDDEN, 2), nn.Linear(3 * HIDDEN, 2)

    def feedback(self, layer: nn.Module, below: Tensor, state: HC, weights: Any) -> Tensor:
        g = torch.sigmoid(layer(torch.cat([below, *state], -1)))
        return sum(g[:, i : i + 1] * (h @ u.T) for i, (h, u) in enumerate(zip(state, weights, strict=True)))

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        low = torch.tanh(self.down(wx) + self.feedback(self.gate_1, wx, state, self.U[:2]))
        high = torch.tanh(self.up(low) + self.feedback(self.gate_2, low, state, self.U[2:]))
        return high, HC(low, high)


class MogrifierLSTM(PaperCell):
    """Melis, Kočiský and Blunsom (2020), Mogrifier LSTM: input and state gate each other four times first."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.Q, self.R, self.lstm = nn.Linear(HIDDEN, INPUT), nn.Linear(INPUT, HIDDEN), nn.LSTMCell(INPUT, HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        x, h = wx, state.h
        for i in range(4):
            if i % 2 == 0:
                x = 2 * torch.sigmoid(self.Q(h)) * x
            else:
                h = 2 * torch.sigmoid(self.R(x)) * h
        h, c = self.lstm(x, (h, state.c))
        return h, HC(h, c)
