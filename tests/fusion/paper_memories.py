"""Published cells with a memory that is more than a row: matrices, slots, stacks, old states; and state spaces."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.fusion.paper_cells import HC, HCN, HCNM, HIDDEN, INPUT, H, PaperCell, weight


class FastWeights(PaperCell):
    """Ba et al. (2016), Using fast weights to attend to the recent past."""

    shapes = ((HIDDEN,), (HIDDEN, HIDDEN))

    def build(self) -> None:
        self.layer, self.norm = nn.Linear(INPUT + HIDDEN, HIDDEN), nn.LayerNorm(HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        A = 0.9 * state.c + 0.5 * torch.bmm(state.h.unsqueeze(2), state.h.unsqueeze(1))
        boundary = self.layer(torch.cat([wx, state.h], 1))
        h = F.relu(boundary)
        for _ in range(2):
            h = F.relu(self.norm(boundary + torch.bmm(A, h.unsqueeze(2)).squeeze(2)))
        return h, HC(h, A)


class LinearAttention(PaperCell):
    """Katharopoulos et al. (2020), Transformers are RNNs: fast autoregressive transformers with linear attention."""

    shapes = ((HIDDEN, HIDDEN), (HIDDEN,))

    def build(self) -> None:
        self.layer = nn.Linear(INPUT, 3 * HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        q, k, v = self.layer(wx).chunk(3, -1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        S, z = state.h + k[:, :, None] * v[:, None, :], state.c + k
        y = (q[:, :, None] * S).sum(1) / ((q * z).sum(-1, keepdim=True) + 1e-6)
        return y, HC(S, z)


class RWKV4(PaperCell):
    """Peng et al. (2023), RWKV: reinventing RNNs for the transformer era; the exponents are kept below zero."""

    shapes = ((HIDDEN,), (HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.layer, self.decay, self.bonus = nn.Linear(INPUT, 3 * HIDDEN), weight(HIDDEN), weight(HIDDEN)

    def initial_state(self, x: Tensor) -> HCN:
        a = x.new_zeros(x.shape[0], HIDDEN)
        return HCN(a, a.clone(), torch.full_like(a, -1e38))

    def step(self, wx: Tensor, state: HCN) -> tuple[Tensor, HCN]:
        r, k, v = self.layer(wx).chunk(3, -1)
        a, b, p = state
        q = torch.maximum(p, self.bonus + k)
        e1, e2 = torch.exp(p - q), torch.exp(self.bonus + k - q)
        y = torch.sigmoid(r) * (e1 * a + e2 * v) / (e1 * b + e2)
        q = torch.maximum(p - torch.exp(self.decay), k)
        e1, e2 = torch.exp(p - torch.exp(self.decay) - q), torch.exp(k - q)
        return y, HCN(e1 * a + e2 * v, e1 * b + e2, q)


class SLSTM(PaperCell):
    """Beck et al. (2024), xLSTM: the scalar memory, exponential gates made stable by their largest."""

    shapes = ((HIDDEN,), (HIDDEN,), (HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.x, self.h = nn.Linear(INPUT, 4 * HIDDEN), nn.Linear(HIDDEN, 4 * HIDDEN, bias=False)

    def step(self, wx: Tensor, state: HCNM) -> tuple[Tensor, HCNM]:
        h, c, n, m = state
        i, f, z, o = (self.x(wx) + self.h(h)).chunk(4, -1)
        log_f = F.logsigmoid(f)
        m_new = torch.max(log_f + m, i)
        i, f = torch.exp(i - m_new), torch.exp(log_f + m - m_new)
        c, n = f * c + i * torch.tanh(z), f * n + i
        h = torch.sigmoid(o) * c / n
        return h, HCNM(h, c, n, m_new)


class MLSTM(PaperCell):
    """Beck et al. (2024), xLSTM: the matrix memory."""

    shapes = ((HIDDEN, HIDDEN), (HIDDEN,), (1,))

    def build(self) -> None:
        self.qkv, self.gate = nn.Linear(INPUT, 4 * HIDDEN), nn.Linear(INPUT, 2)

    def step(self, wx: Tensor, state: HCN) -> tuple[Tensor, HCN]:
        C, n, m = state
        q, k, v, o = self.qkv(wx).chunk(4, -1)
        i, f = self.gate(wx).split(1, -1)
        m_new = torch.maximum(F.logsigmoid(f) + m, i)
        i, f = torch.exp(i - m_new), torch.exp(F.logsigmoid(f) + m - m_new)
        k = k / HIDDEN**0.5
        C = f.unsqueeze(-1) * C + i.unsqueeze(-1) * torch.einsum("bi,bj->bij", v, k)
        n = f * n + i * k
        below = (n * q).sum(-1, keepdim=True).abs().clamp(min=1)
        return torch.sigmoid(o) * (C * q.unsqueeze(1)).sum(-1) / below, HCN(C, n, m_new)


class DeltaNet(PaperCell):
    """Schlag, Irie and Schmidhuber (2021), Linear transformers are secretly fast weight programmers."""

    shapes = ((HIDDEN, HIDDEN),)

    def build(self) -> None:
        self.layer = nn.Linear(INPUT, 3 * HIDDEN + 1)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        q, k, v, beta = self.layer(wx).split([HIDDEN, HIDDEN, HIDDEN, 1], -1)
        k = F.normalize(k, dim=-1)
        old = torch.einsum("bij,bj->bi", state.h, k)
        S = state.h + torch.einsum("bi,bj->bij", torch.sigmoid(beta) * (v - old), k)
        return torch.einsum("bij,bj->bi", S, q.softmax(-1)), H(S)


class DiagonalStateSpace(PaperCell):
    """Gu et al. (2022), On the parameterization and initialization of diagonal state space models: S4D, real."""

    shapes = ((HIDDEN, 3),)

    def build(self) -> None:
        self.x = nn.Linear(INPUT, HIDDEN)
        self.log_A, self.log_dt, self.B, self.C = weight(HIDDEN, 3), weight(HIDDEN), weight(6, 3), weight(6, 3)
        self.D = weight(HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        u, dt = self.x(wx), torch.exp(self.log_dt)[:, None]
        A = -torch.exp(self.log_A)
        decay = torch.exp(dt * A)
        h = decay * state.h + (decay - 1) / A * self.B * u.unsqueeze(-1)
        return (self.C * h).sum(-1) + self.D * u, H(h)


class LinearRecurrentUnit(PaperCell):
    """Orvieto et al. (2023), Resurrecting recurrent neural networks for long sequences: complex, diagonal."""

    def build(self) -> None:
        self.nu, self.theta, self.C = weight(HIDDEN), weight(HIDDEN), weight(HIDDEN, HIDDEN)
        self.B = nn.Linear(INPUT, HIDDEN)

    def initial_state(self, x: Tensor) -> H:
        return H(torch.zeros(x.shape[0], HIDDEN, dtype=torch.complex128))

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = torch.exp(torch.complex(-self.nu.exp(), self.theta)) * state.h + self.B(wx)
        return h.real @ self.C.T, H(h)


class LegendreMemory(PaperCell):
    """Voelker, Kajić and Eliasmith (2019), Legendre memory units."""

    shapes = ((HIDDEN,), (4,))
    A: Tensor
    B: Tensor

    def build(self) -> None:
        n = torch.arange(4.0)
        sign = torch.where(n[:, None] < n, -1.0, (-1.0) ** (n[:, None] - n + 1))
        self.register_buffer("A", torch.linalg.matrix_exp((2 * n[:, None] + 1) * sign / 8))
        self.register_buffer("B", ((2 * n + 1) * (-1.0) ** n / 8)[None])
        self.e, self.x, self.h = nn.Linear(INPUT + HIDDEN + 4, 1), nn.Linear(INPUT, HIDDEN), nn.Linear(HIDDEN + 4, 6)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        u = self.e(torch.cat([wx, *state], -1))
        m = state.c @ self.A.T + u * self.B
        h = torch.tanh(self.x(wx) + self.h(torch.cat([state.h, m], -1)))
        return h, HC(h, m)


class NeuralTuring(PaperCell):
    """Graves, Wayne and Danihelka (2014), Neural Turing machines: slots found by what they hold."""

    shapes = ((HIDDEN,), (5, 3))

    def build(self) -> None:
        self.controller, self.head = nn.RNNCell(INPUT + 3, HIDDEN), nn.Linear(HIDDEN, 3 + 1 + 3 + 3)

    def initial_state(self, x: Tensor) -> HC:
        return HC(self.zeros(x), torch.linspace(-1, 1, 15, dtype=x.dtype).view(5, 3).expand(x.shape[0], 5, 3))

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        h, memory = state
        key, strength, erase, add = self.head(h).split([3, 1, 3, 3], -1)
        likeness = F.cosine_similarity(memory, key.unsqueeze(1), dim=-1)
        w = torch.softmax(F.softplus(strength) * likeness, -1).unsqueeze(-1)
        read = (w * memory).sum(1)
        memory = memory * (1 - w * erase.sigmoid().unsqueeze(1)) + w * add.unsqueeze(1)
        h = self.controller(torch.cat([wx, read], -1), h)
        return h, HC(h, memory)


class StackAugmented(PaperCell):
    """Joulin and Mikolov (2015), Inferring algorithmic patterns with stack-augmented recurrent nets."""

    shapes = ((HIDDEN,), (4, 2))

    def build(self) -> None:
        self.layer, self.action, self.top = nn.Linear(INPUT + HIDDEN + 2, HIDDEN), nn.Linear(6, 3), nn.Linear(6, 2)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        stack = state.c
        h = torch.sigmoid(self.layer(torch.cat([wx, state.h, stack[:, 0]], -1)))
        push, pop, stay = self.action(h).softmax(-1)[..., None].split(1, 1)
        pushed = torch.cat([self.top(h).sigmoid()[:, None], stack[:, :-1]], 1)
        popped = torch.cat([stack[:, 1:], torch.zeros_like(stack[:, :1])], 1)
        return h, HC(h, push * pushed + pop * popped + stay * stack)


class AttentionOverStates(PaperCell):
    """Zhong et al. (2018), Recurrent attention unit: the last four states are attended to."""

    shapes = ((4, HIDDEN),)

    def build(self) -> None:
        self.query, self.rnn = nn.Linear(INPUT, HIDDEN), nn.RNNCell(INPUT + HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        old = state.h
        weights = torch.softmax((old @ self.query(wx).unsqueeze(-1)).squeeze(-1) / HIDDEN**0.5, dim=-1)
        h = self.rnn(torch.cat([wx, (weights.unsqueeze(-1) * old).sum(1)], -1), old[:, -1])
        return h, H(torch.cat([old[:, 1:], h.unsqueeze(1)], 1))


class Kalman(PaperCell):
    """Becker et al. (2019), Recurrent Kalman networks: one variance for a row."""

    shapes = ((HIDDEN,), (1,))

    def build(self) -> None:
        self.A, self.log_q = weight(HIDDEN, HIDDEN), nn.Parameter(torch.zeros(()))
        self.mean, self.log_r = nn.Linear(INPUT, HIDDEN), nn.Linear(INPUT, 1)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        mean, variance = state.h @ self.A.T, state.c + self.log_q.exp()
        gain = variance / (variance + self.log_r(wx).exp())
        mean = mean + gain * (self.mean(wx) - mean)
        return mean, HC(mean, (1 - gain) * variance)


class ConvolutionalLSTM(PaperCell):
    """Shi et al. (2015), Convolutional LSTM network, along one dimension of three places."""

    shapes = ((2, 3), (2, 3))

    def build(self) -> None:
        self.x, self.h = nn.Linear(INPUT, 24), nn.Conv1d(2, 8, 3, padding=1)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        i, f, g, o = (self.x(wx).view(-1, 8, 3) + self.h(state.h)).chunk(4, 1)
        c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
        h: Any = o.sigmoid() * c.tanh()
        return h.flatten(1), HC(h, c)
