"""How far back a cell remembers: the gradient of its last output with respect to the input of each earlier step."""

# %% A cell's last output y_T depends on x_t as far as the norm of dy_T/dx_t is not 0; training cannot learn more
from functools import partial

import torch

from seqmodels import Cell, unroll
from seqmodels.cells import ElmanCell, GRUCell, LSTMCell, init

TIME, INPUT, HIDDEN = 100, 8, 32
BACK = (0, 10, 25, 50, 99)  # steps before the last one


def gradient_norms(cell: Cell) -> torch.Tensor:
    """Return, for each step, the mean norm of the gradient of the last output."""
    x = torch.randn(16, TIME, INPUT, dtype=torch.float64, requires_grad=True)
    y, _ = unroll(cell.double(), x)
    (gradient,) = torch.autograd.grad(y[:, -1].sum(), x)
    return gradient.norm(dim=-1).mean(0).flip(0)  # (time,), the last step first


# %% As cells are initialised, none remembers for long. Gates that start open, for memories of up to 100 steps, do
torch.manual_seed(0)
lasting = partial(init.chrono, max_time=TIME)
cells = {
    "Elman": ElmanCell(INPUT, HIDDEN),
    "Elman, identity": init.identity_recurrent(ElmanCell(INPUT, HIDDEN)),
    "GRU": GRUCell(INPUT, HIDDEN),
    "LSTM": LSTMCell(INPUT, HIDDEN),
    "GRU, chrono": lasting(GRUCell(INPUT, HIDDEN)),
    "LSTM, chrono": lasting(LSTMCell(INPUT, HIDDEN)),
}
norms = {name: gradient_norms(cell) for name, cell in cells.items()}
print(f"{'steps back':16}" + "".join(f"{back:>10}" for back in BACK))
for name, found in norms.items():
    print(f"{name:16}" + "".join(f"{found[back]:10.1e}" for back in BACK))

# %% The ratio of two of these norms is what one step back costs: below 1, gradients vanish; above, they explode
for name, found in norms.items():
    print(f"{name:16}{(found[50] / found[25]).item() ** (1 / 25):10.3f} a step")
assert norms["Elman"][50] < norms["GRU"][50] < norms["GRU, chrono"][50]
assert norms["LSTM"][50] < 1e-6
assert norms["LSTM, chrono"][50] > 1e-4
