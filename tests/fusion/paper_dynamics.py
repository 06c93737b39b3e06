"""Published cells that are dynamical systems: differential equations, rotations, clocks, spikes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.fusion.paper_cells import HC, HCN, HIDDEN, INPUT, H, PaperCell, weight


class Clockwork(PaperCell):
    """Koutník et al. (2014), A clockwork RNN: blocks that run every first, second and third step."""

    shapes = ((HIDDEN,), (1,))
    periods: Tensor

    def build(self) -> None:
        self.x, self.W = nn.Linear(INPUT, HIDDEN), weight(HIDDEN, HIDDEN)
        self.register_buffer("periods", torch.tensor([1, 1, 2, 2, 3, 3]))

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        slower = self.periods[:, None] <= self.periods
        active = state.c % self.periods == 0
        h = torch.where(active, torch.tanh(self.x(wx) + state.h @ (self.W * slower).T), state.h)
        return h, HC(h, state.c + 1)


class Antisymmetric(PaperCell):
    """Chang et al. (2019), AntisymmetricRNN: a dynamical system view on recurrent neural networks."""

    def build(self) -> None:
        self.x, self.W = nn.Linear(INPUT, 2 * HIDDEN), weight(HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        M = torch.triu(self.W, 1) - torch.triu(self.W, 1).T - 0.1 * torch.eye(HIDDEN, dtype=wx.dtype)
        z, n = self.x(wx).chunk(2, -1)
        z = torch.sigmoid(z + state.h @ M.T)
        h = state.h + 0.3 * z * torch.tanh(n + state.h @ M.T)
        return h, H(h)


class CoupledOscillators(PaperCell):
    """Rusch and Mishra (2021), Coupled oscillatory recurrent neural network (coRNN)."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.layer = nn.Linear(INPUT + 2 * HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        y, z = state
        z = z + 0.1 * (torch.tanh(self.layer(torch.cat([wx, z, y], 1))) - 2.0 * y - 1.0 * z)
        y = y + 0.1 * z
        return y, HC(y, z)


class LEM(PaperCell):
    """Rusch et al. (2022), Long expressive memory for sequence modeling."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.x, self.y, self.z = nn.Linear(INPUT, 4 * HIDDEN), nn.Linear(HIDDEN, 18), nn.Linear(HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        y, z = state
        a, b, c, d = self.x(wx).chunk(4, 1)
        ya, yb, yd = self.y(y).chunk(3, 1)
        fast, slow = 0.5 * torch.sigmoid(a + ya), 0.5 * torch.sigmoid(b + yb)
        z = (1 - fast) * z + fast * torch.tanh(d + yd)
        y = (1 - slow) * y + slow * torch.tanh(c + self.z(z))
        return y, HC(y, z)


class UnICORNN(PaperCell):
    """Rusch and Mishra (2021), UnICORNN: undamped independent controlled oscillators."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.x, self.w, self.c = nn.Linear(INPUT, HIDDEN), weight(HIDDEN), weight(HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        y, z = state
        dt = 0.1 * (0.5 + 0.5 * torch.tanh(self.c / 2))
        z = z - dt * (torch.tanh(self.w * y + self.x(wx)) + 0.9 * y)
        y = y + dt * z
        return y, HC(y, z)


class Lipschitz(PaperCell):
    """Erichson et al. (2021), Lipschitz recurrent neural networks."""

    def build(self) -> None:
        self.x, self.A, self.W = nn.Linear(INPUT, HIDDEN), weight(HIDDEN, HIDDEN), weight(HIDDEN, HIDDEN)

    def skewed(self, w: Tensor) -> Tensor:
        return 0.7 * (w - w.T) + 0.3 * (w + w.T) - 0.01 * torch.eye(HIDDEN).to(w)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = state.h
        h = h + 0.03 * (h @ self.skewed(self.A) + torch.tanh(h @ self.skewed(self.W) + self.x(wx)))
        return h, H(h)


class Cayley(PaperCell):
    """Helfrich, Willmott and Ye (2018), Orthogonal RNNs with scaled Cayley transform; modReLU."""

    def build(self) -> None:
        self.x, self.A, self.b = nn.Linear(INPUT, HIDDEN), weight(HIDDEN, HIDDEN), weight(HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        A, eye = self.A - self.A.T, torch.eye(HIDDEN, dtype=wx.dtype)
        z = self.x(wx) + state.h @ torch.linalg.solve(eye + A, eye - A).T
        h = torch.sign(z) * F.relu(z.abs() + self.b)
        return h, H(h)


class Householder(PaperCell):
    """Mhammedi et al. (2017), Orthogonal parametrisation of recurrent networks using Householder reflections."""

    def build(self) -> None:
        self.x, self.u = nn.Linear(INPUT, HIDDEN), weight(3, HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = state.h
        for u in self.u:
            h = h - 2 * (h @ u).unsqueeze(-1) * u / u.dot(u)
        h = F.leaky_relu(self.x(wx) + h, 0.5)
        return h, H(h)


class Rotation(PaperCell):
    """Arjovsky, Shah and Bengio (2016), Unitary evolution recurrent neural networks: pairs of numbers are turned."""

    order: Tensor

    def build(self) -> None:
        self.x, self.angle = nn.Linear(INPUT, HIDDEN), weight(HIDDEN // 2)
        self.register_buffer("order", torch.tensor([3, 0, 5, 1, 4, 2]))

    def turned(self, h: Tensor) -> Tensor:
        re, im = h[:, ::2], h[:, 1::2]
        cos, sin = self.angle.cos(), self.angle.sin()
        return torch.stack([re * cos - im * sin, re * sin + im * cos], -1).flatten(1)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = torch.tanh(self.turned(state.h)[:, self.order] + self.x(wx))
        return h, H(h)


class GatedRotation(Rotation):
    """Jing et al. (2019), Gated orthogonal recurrent units: on learning to forget."""

    def build(self) -> None:
        super().build()
        self.gates_of = nn.Linear(INPUT + HIDDEN, 2 * HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        z, r = torch.sigmoid(self.gates_of(torch.cat([wx, state.h], 1))).chunk(2, 1)
        h = z * state.h + (1 - z) * F.softsign(self.x(wx) + r * self.turned(state.h))
        return h, H(h)


class DelayLine(PaperCell):
    """Lin et al. (1996), Learning long-term dependencies with NARX networks: three old states feed a new one."""

    shapes = ((HIDDEN,), (HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.layer = nn.Linear(INPUT + 3 * HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: HCN) -> tuple[Tensor, HCN]:
        h = torch.tanh(self.layer(torch.cat([wx, *state], -1)))
        return h, HCN(h, state.h, state.c)


class PhasedLSTM(PaperCell):
    """Neil, Pfeiffer and Liu (2016), Phased LSTM: a gate that time opens."""

    shapes = ((HIDDEN,), (HIDDEN,), (1,))

    def build(self) -> None:
        self.layer = nn.Linear(INPUT + HIDDEN, 4 * HIDDEN)
        self.tau, self.shift, self.ratio = weight(HIDDEN), weight(HIDDEN), nn.Parameter(torch.full((HIDDEN,), 0.3))

    def step(self, wx: Tensor, state: HCN) -> tuple[Tensor, HCN]:
        h, c, t = state
        phase = torch.fmod(t - self.shift, 1.5 + self.tau.exp()) / (1.5 + self.tau.exp())
        rising, falling = 2 * phase / self.ratio, 2 - 2 * phase / self.ratio
        k = torch.where(phase < self.ratio / 2, rising, torch.where(phase < self.ratio, falling, 0.001 * phase))
        i, f, g, o = self.layer(torch.cat([wx, h], 1)).chunk(4, 1)
        c_new = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h_new = o.sigmoid() * c_new.tanh()
        h, c = k * h_new + (1 - k) * h, k * c_new + (1 - k) * c
        return h, HCN(h, c, t + 1)


class ContinuousTime(PaperCell):
    """Funahashi and Nakamura (1993), Approximation of dynamical systems by continuous time RNNs, by Euler's steps."""

    def build(self) -> None:
        self.x, self.W, self.log_tau = nn.Linear(INPUT, HIDDEN), weight(HIDDEN, HIDDEN), weight(HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = state.h
        for _ in range(4):
            h = h + 0.25 * (-h + torch.sigmoid(h) @ self.W.T + self.x(wx)) / (1 + self.log_tau.exp())
        return h, H(h)


class LiquidTimeConstant(PaperCell):
    """Hasani et al. (2021), Liquid time-constant networks: three unfolds of the fused solver."""

    def build(self) -> None:
        self.layer, self.A, self.tau = nn.Linear(INPUT + HIDDEN, HIDDEN), weight(HIDDEN), weight(HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = state.h
        for _ in range(3):
            f = torch.sigmoid(self.layer(torch.cat([wx, h], -1)))
            h = (h + 0.1 * f * self.A) / (1 + 0.1 * (1 / F.softplus(self.tau) + f))
        return h, H(h)


class ClosedForm(PaperCell):
    """Hasani et al. (2022), Closed-form continuous-time neural networks; the time since the last step is an input."""

    def build(self) -> None:
        self.backbone = nn.Sequential(nn.Linear(INPUT - 1 + HIDDEN, 8), nn.Tanh())
        self.heads = nn.ModuleList(nn.Linear(8, HIDDEN) for _ in range(4))

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        x, t = wx[:, :-1], wx[:, -1:].abs()
        g, h, a, b = (head(self.backbone(torch.cat([x, state.h], 1))) for head in self.heads)
        s = torch.sigmoid(a * t + b)
        h = g.tanh() * (1 - s) + s * h.tanh()
        return h, H(h)


class ODERNN(PaperCell):
    """Rubanova, Chen and Duvenaud (2019), Latent ODEs for irregularly-sampled time series, by a Runge-Kutta step."""

    def build(self) -> None:
        self.f = nn.Sequential(nn.Linear(HIDDEN, 5), nn.Tanh(), nn.Linear(5, HIDDEN))
        self.gru = nn.GRUCell(INPUT, HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h, dt = state.h, 0.2
        k1 = self.f(h)
        k2 = self.f(h + dt / 2 * k1)
        k3 = self.f(h + dt / 2 * k2)
        k4 = self.f(h + dt * k3)
        h = self.gru(wx, h + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        return h, H(h)


class EchoState(PaperCell):
    """Jaeger (2001), The echo state approach: nothing in the recurrence is trained."""

    def build(self) -> None:
        W = torch.randn(HIDDEN, HIDDEN)
        self.register_buffer("W_in", torch.randn(HIDDEN, INPUT))
        self.register_buffer("W", 0.9 * W / torch.linalg.eigvals(W).abs().max())

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = 0.7 * state.h + 0.3 * torch.tanh(F.linear(wx, self.W_in) + F.linear(state.h, self.W))  # type: ignore[arg-type]
        return h, H(h)
