"""Small cells drawn at random: products in sequence and in parallel, and pointwise graphs between them."""

from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells import Cell

INPUT = 4


class OneField(NamedTuple):
    a: Tensor


class TwoFields(NamedTuple):
    a: Tensor
    b: Tensor


class ThreeFields(NamedTuple):
    a: Tensor
    b: Tensor
    c: Tensor


STATES: tuple[Any, ...] = (OneField, TwoFields, ThreeFields)

UNARY: dict[str, Any] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "relu": torch.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "leaky_relu": F.leaky_relu,
    "hardtanh": F.hardtanh,
    "sin": torch.sin,
    "erf": torch.erf,
    "bell": lambda x: torch.exp(-x * x),
    "decay": lambda x: torch.exp(-F.softplus(x)),
    "root": lambda x: torch.sqrt(1 + x.square()),
    "log": lambda x: torch.log1p(x.abs()),
    "rational": lambda x: x / (1 + x**2),
    "away from the mean": lambda x: x - x.mean(-1, keepdim=True),
    "normalised": lambda x: F.layer_norm(x, x.shape[-1:]),
    "summed": lambda x: 0.1 * x * x.sum(-1, keepdim=True),
    "softmax": lambda x: torch.softmax(x, -1),
    "below the largest": lambda x: x - x.amax(-1, keepdim=True),
    "scaled": lambda x: x * torch.rsqrt(1 + (x * x).sum(-1, keepdim=True)),
}
BINARY: dict[str, Any] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "ratio": lambda x, y: x / (1 + y.abs()),
    "larger": torch.maximum,
    "chosen": lambda x, y: torch.where(x > y, 0.5 * x, y - 1),
    "mixed": lambda x, y: torch.lerp(x, y, 0.3),
    "gated": lambda x, y: torch.sigmoid(y) * x + (1 - torch.sigmoid(y)) * y,
}


class RandomCell(Cell[Any]):
    """A cell whose step is a list of instructions drawn with a seed; each appends values to a list."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self._random = Random(seed)
        draw = self._random
        self.input_size = INPUT
        self.fields = tuple(draw.choice((2, 3, 5, 19)) for _ in range(draw.randint(1, 3)))
        self.hidden_size = self.fields[0]
        self.inputs = tuple(draw.choice((1, 3, 5, 19)) for _ in range(draw.randint(1, 2))) + self.fields[:1]
        self.projection = nn.Linear(INPUT, sum(self.inputs))
        self.widths = [*self.fields, *self.inputs]
        self.program: list[tuple[Any, ...]] = []
        for _ in range(draw.randint(1, 3)):
            self._draw_product()
            for _ in range(draw.randint(1, 5)):
                self._draw_pointwise()
        self.ends = tuple(self._draw_width(width) for width in self.fields)
        self.output = tuple(draw.choice(range(len(self.fields), len(self.widths))) for _ in range(draw.randint(1, 2)))
        del self._random

    def _parameter(self, *shape: int) -> str:
        name = f"parameter_{len(self._parameters)}"
        self.register_parameter(name, nn.Parameter(torch.randn(shape) / max(shape) ** 0.5))
        return name

    def _draw_product(self) -> None:
        draw = self._random
        operands = tuple(draw.choice(range(len(self.widths))) for _ in range(draw.choice((1, 1, 2))))
        depth = sum(self.widths[i] for i in operands)
        gates = tuple(draw.choice((*self.fields, 1, 7)) for _ in range(draw.randint(1, 3)))
        matrices = [(n, p.shape) for n, p in self.named_parameters(recurse=False) if p.dim() == 2]
        old = [name for name, (rows, columns) in matrices if columns == depth and rows >= sum(gates)]
        shared = bool(old) and draw.random() < 0.5
        spare = draw.choice((0, 0, 4))
        weight = draw.choice(old) if shared else self._parameter(sum(gates) + spare, depth)
        bias = self._parameter(sum(gates)) if draw.random() < 0.5 else None
        self.program.append(("product", operands, weight, bias, gates))
        self.widths += gates

    def _draw_pointwise(self) -> None:
        draw = self._random
        first = draw.choice(range(len(self.widths)))
        width = self.widths[first]
        kind = draw.choice(("unary", "binary", "binary", "vector"))
        if kind == "unary":
            self.program.append((kind, draw.choice(sorted(UNARY)), first))
        elif kind == "binary":
            others = [i for i, w in enumerate(self.widths) if w in (width, 1)]
            self.program.append((kind, draw.choice(sorted(BINARY)), first, draw.choice(others)))
        else:
            self.program.append((kind, draw.choice(("add", "mul", "chosen")), first, self._parameter(width)))
        self.widths.append(width)

    def _draw_width(self, width: int) -> int:
        """Return one of the last values of a width."""
        return self._random.choice([i for i, w in enumerate(self.widths) if w == width][-3:])

    @property
    def output_size(self) -> int:
        return sum(self.widths[i] for i in self.output)

    def initial_state(self, x: Tensor) -> Any:
        return STATES[len(self.fields) - 1](*(self.zeros(x, width) for width in self.fields))

    def project(self, x: Tensor) -> Tensor:
        return self.projection(x)

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        values = [*state, *wx.split(self.inputs, -1)]
        for kind, *details in self.program:
            values += getattr(self, f"_{kind}")(values, *details)
        new = type(state)(*(torch.tanh(values[i]) for i in self.ends))
        return torch.cat([values[i] for i in self.output], -1), new

    def _product(
        self, values: list[Tensor], operands: tuple[int, ...], weight: str, bias: str | None, gates: tuple[int, ...]
    ) -> list[Tensor]:
        operand = torch.cat([values[i] for i in operands], -1)
        rows = getattr(self, weight)[: sum(gates)]
        product = F.linear(operand, rows, None if bias is None else getattr(self, bias))
        return list(product.split(gates, -1))

    def _unary(self, values: list[Tensor], name: str, first: int) -> list[Tensor]:
        return [UNARY[name](values[first])]

    def _binary(self, values: list[Tensor], name: str, first: int, second: int) -> list[Tensor]:
        return [BINARY[name](values[first], values[second])]

    def _vector(self, values: list[Tensor], name: str, first: int, vector: str) -> list[Tensor]:
        return [BINARY[name](values[first], getattr(self, vector))]

    def extra_repr(self) -> str:
        return f"fields={self.fields}, inputs={self.inputs}, {self.program}, ends={self.ends}, output={self.output}"
