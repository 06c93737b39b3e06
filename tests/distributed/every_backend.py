"""One of several processes that compute gradients with every cell and back-end, and compare them with those of one."""

from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from seqmodels.backends import backends_for
from seqmodels.cells import ALL_CELLS, GRUCell, LSTMCell
from seqmodels.layers import Recurrent

ROWS, TIME, INPUT, HIDDEN = 6, 7, 4, 5
COMPILED = (LSTMCell, GRUCell)  # as C++, the others would take seconds each; here in a graph of torch.compile


class Summed(nn.Module):
    """The mean over rows of a layer's output."""

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        y, _ = self.layer(x, None, lengths)
        return y.square().sum((1, 2)).mean()


def run() -> None:
    distributed.init_process_group("gloo", init_method="env://", rank=RANK, world_size=WORLD)
    x, lengths = torch.randn(ROWS, TIME, INPUT), torch.tensor([7, 7, 2, 5, 1, 7])
    done = 0
    for cell_type in COMPILED if COMPILING else ALL_CELLS:
        reasons = backends_for(cell_type(INPUT, HIDDEN), x)
        for backend, reason in reasons.items():
            if reason is not None or (COMPILING and backend != "fused"):
                continue
            torch.manual_seed(0)
            model = Summed(Recurrent(cell_type(INPUT, HIDDEN), backend=backend))
            alone = torch.autograd.grad(model(x, lengths), list(model.parameters()))
            whole: Any = torch.compile(model, backend="aot_eager", fullgraph=True) if COMPILING else model
            together = DistributedDataParallel(whole)
            together(x[RANK::WORLD], lengths[RANK::WORLD]).backward()
            for parameter, gradient in zip(model.parameters(), alone, strict=True):
                torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
            done += 1
    print(done)  # noqa: T201
    distributed.destroy_process_group()


if __name__ == "__main__":
    import gc
    import os

    torch.manual_seed(0)
    torch.set_num_threads(1)
    COMPILING = os.environ.get("SEQMODELS_CPP") != "0"
    RANK, WORLD = int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"])
    run()
    gc.collect()  # the group ends its threads with the last model that knows it; at the interpreter's end they abort it
