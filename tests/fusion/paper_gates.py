"""Published cells that gate what they remember."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.fusion.paper_cells import HC, HCN, HCNM, HIDDEN, INPUT, H, PaperCell, weight


class Elman(PaperCell):
    """Elman (1990), Finding structure in time."""

    def build(self) -> None:
        self.layer = nn.Linear(INPUT + HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = torch.tanh(self.layer(torch.cat([wx, state.h], dim=1)))
        return h, H(h)


class Jordan(PaperCell):
    """Jordan (1986), Serial order: the output is fed back, and remembers a part of itself."""

    output_size = 2
    shapes = ((2,),)

    def build(self) -> None:
        self.inner, self.context, self.outer = nn.Linear(INPUT, HIDDEN), nn.Linear(2, HIDDEN), nn.Linear(HIDDEN, 2)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        y = torch.sigmoid(self.outer(torch.tanh(self.inner(wx) + self.context(state.h))))
        return y, H(0.3 * state.h + y)


class IRNN(PaperCell):
    """Le, Jaitly and Hinton (2015), A simple way to initialize recurrent networks of rectified linear units."""

    def build(self) -> None:
        self.U, self.W = weight(HIDDEN, INPUT), nn.Parameter(0.9 * torch.eye(HIDDEN))

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        h = F.relu((self.U @ wx.T + self.W @ state.h.T).T)
        return h, H(h)


class SCRN(PaperCell):
    """Mikolov et al. (2014), Learning longer memory in recurrent neural networks: slow context units."""

    shapes = ((HIDDEN,), (3,))

    def build(self) -> None:
        self.A, self.B, self.P, self.R = weight(HIDDEN, INPUT), weight(3, INPUT), weight(HIDDEN, 3), weight(6, 6)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        s = 0.05 * wx @ self.B.T + 0.95 * state.c
        h = torch.sigmoid(s @ self.P.T + wx @ self.A.T + state.h @ self.R.T)
        return h, HC(h, s)


class RecurrentHighway(PaperCell):
    """Zilly et al. (2017), Recurrent highway networks, three layers deep in a step."""

    def build(self) -> None:
        self.x = nn.Linear(INPUT, 2 * HIDDEN, bias=False)
        self.layers = nn.ModuleList(nn.Linear(HIDDEN, 2 * HIDDEN) for _ in range(3))

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        s = state.h
        for depth, layer in enumerate(self.layers):
            h, t = (layer(s) + (self.x(wx) if depth == 0 else 0)).chunk(2, -1)
            t = t.sigmoid()
            s = h.tanh() * t + s * (1 - t)
        return s, H(s)


class MGU(PaperCell):
    """Zhou et al. (2016), Minimal gated unit for recurrent neural networks."""

    def build(self) -> None:
        self.f, self.n = nn.Linear(INPUT + HIDDEN, HIDDEN), nn.Linear(INPUT + HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        f = torch.sigmoid(self.f(torch.hstack([state.h, wx])))
        n = torch.tanh(self.n(torch.hstack([f * state.h, wx])))
        h = (1 - f) * state.h + f * n
        return h, H(h)


class Observed(NamedTuple):
    values: Tensor
    seen: Tensor


class GRUD(PaperCell):
    """Che et al. (2018), Recurrent neural networks for multivariate time series with missing values."""

    shapes = ((HIDDEN,), (2,), (2,))
    mean: Tensor

    def build(self) -> None:
        self.gru = nn.GRUCell(4, HIDDEN)
        self.decay_x, self.decay_h = weight(2), nn.Linear(2, HIDDEN)
        self.register_buffer("mean", torch.tensor([0.1, -0.2]))

    def project(self, x: Tensor) -> Observed:
        return Observed(x[..., :2], x[..., 2:] > 0)

    def step(self, wx: Observed, state: HCN) -> tuple[Tensor, HCN]:
        h, last, since = state
        decay = torch.exp(-torch.relu(self.decay_x * since))
        x = torch.where(wx.seen, wx.values, decay * last + (1 - decay) * self.mean)
        h = self.gru(torch.cat([x, wx.seen.to(x.dtype)], -1), h * torch.exp(-F.relu(self.decay_h(since))))
        return h, HCN(h, torch.where(wx.seen, wx.values, last), torch.where(wx.seen, 0.0, since) + 1)


class PeepholeLSTM(PaperCell):
    """Gers and Schmidhuber (2000), Recurrent nets that time and count."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.x, self.h = nn.Linear(INPUT, 4 * HIDDEN), nn.Linear(HIDDEN, 4 * HIDDEN, bias=False)
        self.peep = weight(3, HIDDEN)

    def project(self, x: Tensor) -> Tensor:
        return self.x(x)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        h, c = state
        i, f, g, o = (wx + self.h(h)).chunk(4, 1)
        i, f = torch.sigmoid(i + self.peep[0] * c), torch.sigmoid(f + self.peep[1] * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + self.peep[2] * c) * torch.tanh(c)
        return h, HC(h, c)


class ProjectedLSTM(PaperCell):
    """Sak, Senior and Beaufays (2014), Long short-term memory architectures for large scale acoustic modeling."""

    output_size = 3
    shapes = ((3,), (HIDDEN,))

    def build(self) -> None:
        self.layer, self.down = nn.Linear(INPUT + 3, 4 * HIDDEN), nn.Linear(HIDDEN, 3, bias=False)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        i, f, g, o = self.layer(torch.cat((wx, state.h), -1)).unflatten(-1, (4, -1)).unbind(1)
        c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
        r = self.down(o.sigmoid() * c.tanh())
        return r, HC(r, c)


class CoupledLSTM(PaperCell):
    """Greff et al. (2017), LSTM: a search space odyssey: the forget gate is what the input gate leaves."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.W, self.b = weight(INPUT + HIDDEN, 3 * HIDDEN), weight(3 * HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        f, g, o = torch.addmm(self.b, torch.cat([wx, state.h], 1), self.W).split(HIDDEN, 1)
        c = torch.lerp(g.tanh(), state.c, f.sigmoid())
        h = o.sigmoid() * c.tanh()
        return h, HC(h, c)


class LayerNormLSTM(PaperCell):
    """Ba, Kiros and Hinton (2016), Layer normalization."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.x, self.h = nn.Linear(INPUT, 4 * HIDDEN), nn.Linear(HIDDEN, 4 * HIDDEN, bias=False)
        self.norm_x, self.norm_h, self.norm_c = nn.LayerNorm(24), nn.LayerNorm(24), nn.LayerNorm(HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        i, f, g, o = (self.norm_x(self.x(wx)) + self.norm_h(self.h(state.h))).chunk(4, 1)
        c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(self.norm_c(c))
        return h, HC(h, c)


class RMSNormLSTM(LayerNormLSTM):
    """Zhang and Sennrich (2019), Root mean square layer normalization."""

    def build(self) -> None:
        super().build()
        self.norm_x, self.norm_h, self.norm_c = nn.RMSNorm(24), nn.RMSNorm(24), nn.RMSNorm(HIDDEN)  # type: ignore[assignment]


class MultiplicativeLSTM(PaperCell):
    """Krause et al. (2016), Multiplicative LSTM for sequence modelling."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.x, self.mx, self.mh = nn.Linear(INPUT, 4 * HIDDEN), weight(HIDDEN, INPUT), weight(HIDDEN, HIDDEN)
        self.m = weight(4 * HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        m = F.linear(wx, self.mx) * F.linear(state.h, self.mh)
        g, i, f, o = torch.chunk(self.x(wx) + F.linear(m, self.m), 4, dim=-1)
        c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * g
        h = torch.tanh(c * torch.sigmoid(o))
        return h, HC(h, c)


class OrderedNeuronsLSTM(PaperCell):
    """Shen et al. (2019), Ordered neurons: master gates are cumulative sums of softmaxes."""

    shapes = ((HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.layer = nn.Linear(INPUT + HIDDEN, 4 * HIDDEN + 6)

    def step(self, wx: Tensor, state: HC) -> tuple[Tensor, HC]:
        master_f, master_i, i, f, g, o = self.layer(torch.cat([wx, state.h], -1)).split([3, 3] + 4 * [HIDDEN], -1)
        master_f = master_f.softmax(-1).cumsum(-1).repeat_interleave(2, -1)
        master_i = 1 - master_i.softmax(-1).cumsum(-1).repeat_interleave(2, -1)
        both = master_f * master_i
        f = torch.sigmoid(f) * both + (master_f - both)
        c = f * state.c + (torch.sigmoid(i) * both + (master_i - both)) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, HC(h, c)


class Mutant1(PaperCell):
    """Jozefowicz, Zaremba and Sutskever (2015), An empirical exploration of recurrent networks: MUT1."""

    def build(self) -> None:
        self.x, self.x_r, self.x_h = nn.Linear(INPUT, HIDDEN), nn.Linear(INPUT, HIDDEN), nn.Linear(INPUT, HIDDEN)
        self.h_r, self.h_h = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        z, r = torch.sigmoid(self.x(wx)), torch.sigmoid(self.x_r(wx) + self.h_r(state.h))
        h = torch.tanh(self.h_h(r * state.h) + torch.tanh(self.x_h(wx))) * z + state.h * (1 - z)
        return h, H(h)


class Mutant2(Mutant1):
    """Jozefowicz, Zaremba and Sutskever (2015): MUT2, whose update gate also sees the state."""

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        z, r = torch.sigmoid(self.x(wx) + self.h_h(state.h)), torch.sigmoid(self.x_r(wx) + self.h_r(state.h))
        h = torch.tanh(self.h_h(r * state.h) + self.x_h(wx)) * z + state.h * (1 - z)
        return h, H(h)


class Mutant3(Mutant1):
    """Jozefowicz, Zaremba and Sutskever (2015): MUT3, whose update gate sees the state squashed."""

    def step(self, wx: Tensor, state: H) -> tuple[Tensor, H]:
        z = torch.sigmoid(self.x(wx) + self.h_h(torch.tanh(state.h)))
        r = torch.sigmoid(self.x_r(wx) + self.h_r(state.h))
        h = torch.tanh(self.h_h(r * state.h) + self.x_h(wx)) * z + state.h * (1 - z)
        return h, H(h)


class NestedLSTM(PaperCell):
    """Moniz and Krueger (2018), Nested LSTMs: the memory cell is an LSTM itself."""

    shapes = ((HIDDEN,), (HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.outer, self.inner = nn.Linear(INPUT + HIDDEN, 4 * HIDDEN), nn.LSTMCell(HIDDEN, HIDDEN)

    def step(self, wx: Tensor, state: HCN) -> tuple[Tensor, HCN]:
        h, c, inner = state
        i, f, g, o = self.outer(torch.cat([wx, h], 1)).chunk(4, 1)
        c, inner = self.inner(i.sigmoid() * g.tanh(), (f.sigmoid() * c, inner))
        h = o.sigmoid() * c.tanh()
        return h, HCN(h, c, inner)


class GridLSTM(PaperCell):
    """Kalchbrenner, Danihelka and Graves (2016), Grid long short-term memory: one LSTM for time, one for depth."""

    shapes = ((HIDDEN,), (HIDDEN,), (HIDDEN,), (HIDDEN,))

    def build(self) -> None:
        self.lift, self.time, self.depth = nn.Linear(INPUT, HIDDEN), nn.LSTMCell(6, HIDDEN), nn.LSTMCell(6, HIDDEN)

    def step(self, wx: Tensor, state: HCNM) -> tuple[Tensor, HCNM]:
        h, c, below, memory = state
        h, c = self.time(self.lift(wx) + below, (h, c))
        below, memory = self.depth(h, (self.lift(wx), memory))
        return below, HCNM(h, c, below, memory)
