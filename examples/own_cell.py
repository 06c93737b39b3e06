"""A cell of your own: its equation, its kernels against the Python loop that defines it, and your own training loop."""

# %% The equation: a leaky integrator whose units forget at rates of their own, h_t = a h_{t-1} + (1 - a) tanh(W x_t)
import torch
from torch import Tensor, nn

from seqmodels import Cell, unroll
from seqmodels.backends import backends_for
from seqmodels.cells import ElmanState


class LeakyCell(Cell[ElmanState]):
    """One step; it never sees time, lengths or devices."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.rate = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> ElmanState:
        return ElmanState(self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.weight_ih.T)  # what the input alone decides, for all steps at once

    def step(self, wx: Tensor, state: ElmanState) -> tuple[Tensor, ElmanState]:
        a = self.rate.sigmoid()
        h = a * state.h + (1 - a) * wx
        return h, ElmanState(h)


# %% Kernels derived from `step` give the numbers and the gradients of the loop
torch.manual_seed(0)
cell, head = LeakyCell(1, 16), nn.Linear(16, 1)
x, lengths = torch.randn(32, 40, 1), torch.randint(20, 41, (32,))
print(backends_for(cell, x))  # why a back-end cannot run this cell; None where it can
results = {}
for backend in ("eager", "fused"):
    y, _ = unroll(cell, x, lengths=lengths, backend=backend)
    results[backend] = [y, *torch.autograd.grad(y.square().sum(), list(cell.parameters()))]
torch.testing.assert_close(results["fused"], results["eager"])

# %% Your own training loop: remember the input as an exponential average of the last ten steps
target = torch.stack([x[:, : t + 1].mul(0.9 ** torch.arange(t, -1, -1.0)[:, None]).sum(1) / 10 for t in range(40)], 1)
optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()], lr=0.03)
for step in range(151):
    y, _ = unroll(cell, x)
    loss = (head(y) - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3}  loss {loss.item():.5f}, of a forecast of 0 {target.square().mean().item():.5f}")
assert loss < 0.1 * target.square().mean(), "the cell has not learned to average"
