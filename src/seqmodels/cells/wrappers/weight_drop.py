"""Weight drop: dropout of the recurrent weights themselves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from seqmodels.cells.base import Cell, Projected, State
from seqmodels.cells.wrappers.wrapper import Wrapper, check_probability
from seqmodels.sequence import Fixed


class WeightDropInput(NamedTuple):
    """What a step of :class:`WeightDrop` reads."""

    wx: Projected  # of the wrapped cell
    weights: tuple[Fixed, ...]  # the dropped weights, one for each name


class _Method(nn.Module):
    """One method of a cell as the ``forward`` that ``functional_call`` calls."""

    def __init__(self, cell: Cell[Any], method: str) -> None:
        super().__init__()
        self.cell = cell
        self.method = method

    def forward(self, *args: Any) -> Any:
        return getattr(self.cell, self.method)(*args)


class WeightDrop(Wrapper[State]):
    r"""DropConnect on recurrent weights, as in AWD-LSTM (Merity, Keskar and Socher, 2018, arXiv 1708.02182).

    Each entry of the named parameters is zeroed with probability ``p`` and otherwise divided by 1 - p; drawn once per
    sequence, for the whole batch. In evaluation nothing is dropped. Parameters keep their names, and gradients reach
    them through the entries that were kept.

    Args:
        cell: the cell to wrap.
        p: probability that an entry is zeroed.
        names: parameters of the innermost cell to drop entries of.

    Raises:
        ValueError: ``p`` is outside [0, 1), ``names`` is empty or names no parameter of the cell.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> WeightDrop(LSTMCell(4, 5), p=0.5)
        WeightDrop(
          p=0.5, names=('weight_hh',)
          (cell): LSTMCell(4, 5)
        )
    """

    def __init__(self, cell: Cell[State], p: float, names: Sequence[str] = ("weight_hh",)) -> None:
        super().__init__(cell)
        self.p = check_probability("p", p, below_one=True)
        self.names = (names,) if isinstance(names, str) else tuple(names)
        parameters = [name for name, _ in self.core.named_parameters(recurse=False)]
        unknown = [name for name in self.names if name not in parameters]
        if unknown or not self.names:
            rule = f"parameters of {type(self.core).__name__} ({', '.join(parameters)})"
            raise ValueError(f"names must be {rule}, got {', '.join(unknown) or 'none'}")

    def is_identity(self) -> bool:
        return not self.training or self.p == 0

    def project(self, x: Tensor) -> WeightDropInput:
        weights = tuple(Fixed(F.dropout(getattr(self.core, name), self.p, self.training)) for name in self.names)
        return WeightDropInput(self._call("project", weights, x), weights)

    def step(self, wx: WeightDropInput, state: State) -> tuple[Tensor, State]:
        result: tuple[Tensor, State] = self._call("step", wx.weights, wx.wx, state)
        return result

    def _call(self, method: str, weights: tuple[Fixed, ...], *args: Any) -> Any:
        """Call a method of the wrapped cell with ``weights`` in place of the parameters ``names``."""
        inner = self.cell.effective()
        path, cell = "cell.", inner
        while isinstance(cell, Wrapper):
            path, cell = path + "cell.", cell.cell
        dropped = {path + name: weight.value for name, weight in zip(self.names, weights, strict=True)}
        return functional_call(_Method(inner, method), dropped, args, tie_weights=False)

    def extra_repr(self) -> str:
        return f"p={self.p}, names={self.names}"
