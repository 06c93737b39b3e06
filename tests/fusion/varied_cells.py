"""Random cells of what users write into a step besides plain arithmetic, and what they change between two calls."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.sequence import map_leaves
from tests.fusion.random_cells import STATES, Draft, RandomCell, one, two, vector
from tests.fusion.random_gradients import CAST, IN_PLACE, MASKS, PRODUCTS, STOPPED, USES
from tests.fusion.random_operators import ALONG, BINARY, CONSTANT, MOVED, PAIRS, POINTWISE, UNARY

KINDS = {"one": 8, "two": 3, "masked": 2, "setting": 1, "module": 1, "vector": 1, "merged": 1}
ONE_ROW: list[tuple[dict[str, Any], int]] = [
    (UNARY, 2),
    (POINTWISE, 4),
    (ALONG, 3),
    (MOVED, 3),
    (CONSTANT, 2),
    (STOPPED, 2),
    (CAST, 1),
    (IN_PLACE, 2),
]
GAIN = 0.9
"""A global that a step may read."""


class Remembering(NamedTuple):
    numbers: Any
    flag: Tensor  # (batch, hidden), bool


class Counting(NamedTuple):
    numbers: Any
    steps: Tensor  # (batch, 1), whole numbers


class Streams(NamedTuple):
    wx: Tensor
    seen: Tensor  # (batch, 1), bool


@dataclass
class Settings:
    slope: float = 0.3


class VariedCell(RandomCell):
    """A cell with anything in its step; most of it can be derived, some of it is refused."""

    slope: float
    settings: Settings
    options: dict[str, list[float]]
    remembers: bool
    counts: bool
    sees: bool
    delays: dict[int, int]
    keep: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        VariedDraft(seed, self)

    def initial_state(self, x: Tensor) -> Any:
        numbers = STATES[len(self.fields) - 1](*(self.zeros(x, width) for width in self.fields))
        if self.counts:
            return Counting(numbers, torch.zeros(x.shape[0], 1, dtype=torch.int64))
        if self.remembers:
            return Remembering(numbers, torch.zeros(x.shape[0], self.hidden_size, dtype=torch.bool))
        return numbers

    def project(self, x: Tensor) -> Any:
        wx = self.projection(x)
        return Streams(wx, x[..., :1] > 0) if self.sees else wx

    def step(self, wx: Any, state: Any) -> tuple[Tensor, Any]:
        masks: dict[str, Tensor] = {"buffer": self.keep}
        numbers = state
        if self.sees:
            wx, masks["stream"] = wx
        if self.counts:
            numbers, steps = state
        elif self.remembers:
            numbers, masks["flag"] = state
        values = [*numbers, *wx.split(self.inputs, -1)]
        for _, run, arguments in self.program:
            values += run(self, values, *arguments, **({"masks": masks} if run is masked else {}))
        new = [
            values[self.delays[i]] if i in self.delays else torch.tanh(values[end]) for i, end in enumerate(self.ends)
        ]
        y = torch.cat([values[i] for i in self.output], -1)
        if self.counts:
            return torch.where(steps > 1, y, 0.5 * y), Counting(type(numbers)(*new), steps + 1)
        if self.remembers:
            return y, Remembering(type(numbers)(*new), new[0] > 0.2)
        return y, type(numbers)(*new)

    def given_state(self, x: Tensor) -> Any:
        """Return a state drawn at random, what can ask for a gradient asking for one."""

        def drawn(leaf: Tensor) -> Tensor:
            if leaf.is_floating_point():
                return torch.randn_like(leaf).requires_grad_()
            return torch.randint_like(leaf, 2) if leaf.dtype == torch.int64 else torch.rand(leaf.shape) > 0.5

        return map_leaves(drawn, self.initial_state(x[:, 0]))


class VariedDraft(Draft):
    cell: VariedCell
    widths_of_fields = (1, 2, 4, 6, 12)

    def draw(self) -> None:
        draw = self.random
        cell = self.cell
        cell.slope, cell.settings, cell.options = 0.8, Settings(), {"scale": [0.7]}
        cell.counts = draw.random() < 0.05
        cell.remembers, cell.sees = not cell.counts and draw.random() < 0.15, draw.random() < 0.2
        cell.register_buffer("keep", torch.rand(12) > 0.4)
        for _ in range(draw.randint(1, 3)):
            self.product(tuple(PRODUCTS))
            for _ in range(draw.randint(1, 5)):
                kind = draw.choices(list(KINDS), list(KINDS.values()))[0]
                getattr(self, kind)()
        cell.delays = {i: self.delay(i) for i in range(len(self.fields)) if draw.random() < 0.2}

    def parameter(self, *shape: int) -> str:
        """Now and then one parameter has two names."""
        old = [name for name, parameter in self.cell._parameters.items() if tuple(parameter.shape) == shape]  # type: ignore[union-attr]
        name = super().parameter(*shape)
        if old and self.random.random() < 0.3:
            self.cell.register_parameter(name, getattr(self.cell, self.random.choice(old)))
        return name

    def any_row(self) -> int:
        """Return one of the values, a late one more often than not."""
        draw = self.random
        return draw.choice(range(len(self.widths)) if draw.random() < 0.4 else range(len(self.widths))[-4:])

    def other(self, first: int) -> int:
        return self.random.choice([i for i, w in enumerate(self.widths) if w == self.widths[first]])

    def one(self) -> None:
        draw, first = self.random, self.any_row()
        table = draw.choices([table for table, _ in ONE_ROW], [part for _, part in ONE_ROW])[0]
        name = draw.choice(sorted(table))
        self.append(self.widths[first], name, one, table[name], first)

    def two(self) -> None:
        draw, first = self.random, self.any_row()
        table: dict[str, Any] = draw.choice((BINARY, PAIRS))
        name = draw.choice(sorted(table))
        self.append(self.widths[first], name, two, table[name], first, self.other(first))

    def masked(self) -> None:
        draw, first = self.random, self.any_row()
        sources = ["buffer"] + ["stream"] * self.cell.sees
        sources += ["flag"] * (self.cell.remembers and self.widths[first] == self.cell.hidden_size)
        source, use = draw.choice([*sources, *draw.sample(sorted(MASKS), 4)]), draw.choice(sorted(USES))
        mask = MASKS.get(source, source)
        text = f"{use}: {source}"
        self.append(self.widths[first], text, masked, mask, USES[use], first, self.other(first))

    def setting(self) -> None:
        first, name = self.any_row(), self.random.choice(sorted(SETTINGS))
        self.append(self.widths[first], name, setting, SETTINGS[name], first)

    def module(self) -> None:
        """A layer of its own, or one that another instruction has, under a name of its own."""
        first = self.any_row()
        width, name = self.widths[first], f"layer_{len(self.cell._modules)}"
        old = [m for m in self.cell._modules.values() if isinstance(m, nn.Linear) and m.weight.shape == (width, width)]
        self.cell.add_module(name, self.random.choice(old) if old else nn.Linear(width, width))
        self.append(width, "layer", layer, name, first)

    def vector(self) -> None:
        first, name = self.any_row(), self.random.choice(("add", "mul", "chosen"))
        self.append(self.widths[first], name, vector, BINARY[name], first, self.parameter(self.widths[first]))

    def merged(self) -> None:
        """What was computed last meets the first field, so that little of a program is computed in vain."""
        self.append(self.cell.hidden_size, "merged", merged, len(self.widths) - 1)

    def delay(self, field: int) -> int:
        """Return a field of the same width, whose old value shall be the new one of ``field``."""
        return self.random.choice([i for i, width in enumerate(self.fields) if width == self.fields[field]])


def masked(
    cell: VariedCell, values: list[Tensor], source: Any, use: Any, *rows: int, masks: dict[str, Tensor]
) -> list[Tensor]:
    x, y = (values[i] for i in rows)
    if callable(source):
        return [use(source(x, y), x, y)]
    return [use(masks[source][: x.shape[-1]] if source == "buffer" else masks[source], x, y)]


def setting(cell: VariedCell, values: list[Tensor], function: Any, first: int) -> list[Tensor]:
    return [function(cell, values[first])]


def layer(cell: VariedCell, values: list[Tensor], name: str, first: int) -> list[Tensor]:
    return [torch.tanh(getattr(cell, name)(values[first]))]


def merged(cell: VariedCell, values: list[Tensor], last: int) -> list[Tensor]:
    return [values[0] + torch.tanh(values[last]).mean(-1, keepdim=True)]


SETTINGS: dict[str, Callable[[VariedCell, Tensor], Tensor]] = {
    "attribute": lambda cell, x: x * cell.slope,
    "field of a dataclass": lambda cell, x: F.leaky_relu(x, cell.settings.slope),
    "list in a dict": lambda cell, x: torch.sin(x * cell.options["scale"][0]),
    "global": lambda cell, x: x + GAIN,
    "branch": lambda cell, x: x.sin() if cell.slope > 0.5 else x.cos(),
    "mode": lambda cell, x: torch.tanh(x) if cell.training else x,
}


def freeze(cell: VariedCell) -> None:
    next(iter(cell.parameters())).requires_grad_(False)


def replace(cell: VariedCell) -> None:
    name, parameter = next((n, p) for n, p in cell.named_parameters() if "." not in n)
    setattr(cell, name, nn.Parameter(parameter.detach().sin()))


def fill(cell: VariedCell) -> None:
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(0.7)


CHANGES: dict[str, Callable[[VariedCell], Any]] = {
    "an attribute": lambda cell: setattr(cell, "slope", 0.4),
    "a field of a dataclass": lambda cell: setattr(cell.settings, "slope", 0.1),
    "a list in a dict": lambda cell: cell.options["scale"].__setitem__(0, 1.3),
    "the mode": lambda cell: cell.eval(),
    "a parameter that is frozen": freeze,
    "a parameter that is another": replace,
    "what parameters hold": fill,
}


def change(cell: VariedCell, seed: int) -> str:
    """Change something that a step reads; return what."""
    name = Random(seed).choice(sorted(CHANGES))
    CHANGES[name](cell)
    return name
