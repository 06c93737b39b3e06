"""Zoneout: units of the state that randomly keep their previous value."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.cells.base import Cell, Projected, State
from seqmodels.cells.wrappers.wrapper import Wrapper, check_probability, example_input
from seqmodels.sequence import Fixed


class ZoneoutInput(NamedTuple):
    """What a step of :class:`Zoneout` reads."""

    wx: Projected  # of the wrapped cell
    keep: tuple[Any, ...]  # per field: (batch, time, size) of zeros and ones, or Fixed (size,) rates in evaluation


class Zoneout(Wrapper[State]):
    r"""Zoneout (Krueger et al., 2017, arXiv 1606.01305): each unit of the state randomly keeps its previous value.

    .. math::

        s_t \to k_t \odot s_{t-1} + (1 - k_t) \odot s_t

    for each field s of the state that ``rates`` names. In training each unit keeps its previous value (:math:`k = 1`)
    with that probability, drawn independently at every step; in evaluation k is the probability itself, so that the
    state takes its expected value. An output that is a field of the state follows that field. The probabilities of the
    draws are ``rates`` to 16 bits.

    Args:
        cell: the cell to wrap.
        rates: probability for each field of the state that zoneout applies to.

    Raises:
        ValueError: a rate is outside [0, 1] or names no field of the cell's state.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> Zoneout(LSTMCell(4, 5), {"h": 0.1, "c": 0.5})
        Zoneout(
          h=0.1, c=0.5
          (cell): LSTMCell(4, 5)
        )
    """

    def __init__(self, cell: Cell[State], rates: Mapping[str, float]) -> None:
        super().__init__(cell)
        example: Any = cell.initial_state(example_input(cell))
        for name, rate in rates.items():
            if name not in example._fields:
                raise ValueError(f"rates must name fields of the state ({', '.join(example._fields)}), got {name!r}")
            check_probability(f"rates[{name!r}]", rate)
        self.rates = {name: float(rate) for name, rate in rates.items() if rate > 0}
        self.sizes = {name: getattr(example, name).shape[1:] for name in self.rates}

    def is_identity(self) -> bool:
        return not self.rates

    def project(self, x: Tensor) -> ZoneoutInput:
        return ZoneoutInput(super().project(x), tuple(self._keep(name, x) for name in self.rates))

    def _keep(self, name: str, x: Tensor) -> Tensor | Fixed:
        if not self.training:
            return Fixed(x.new_full(self.sizes[name], self.rates[name]))
        lead = x.shape[:-1]  # drawn with time first: the rows of a step lie together in memory
        return _draw(self.rates[name], (*lead[::-1], *self.sizes[name]), x).transpose(0, len(lead) - 1)

    def step(self, wx: ZoneoutInput, state: State) -> tuple[Tensor, State]:
        new: Any
        output, new = super().step(wx.wx, state)
        zoned = new._asdict()
        for name, noise in zip(self.rates, wx.keep, strict=True):
            keep = noise.value if isinstance(noise, Fixed) else noise
            zoned[name] = keep * getattr(state, name) + (1 - keep) * zoned[name]
        field = next((name for name in self.rates if getattr(new, name) is output), None)
        return output if field is None else zoned[field], type(new)(**zoned)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={rate}" for name, rate in self.rates.items())


def _draw(rate: float, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return zeros and ones, ones with a probability of ``rate``, in the dtype and on the device of another.

    Four numbers come of each random one of 64 bits, which is several times as fast as ``bernoulli_`` on a CPU.
    """
    count, share = math.prod(shape), round(rate * 2**16)
    if share == 2**16:  # a threshold above all numbers of 16 bits
        return like.new_ones(shape)
    bits = torch.empty((count + 3) // 4, dtype=torch.int64, device=like.device).random_(-(2**63), None)
    return (bits.view(torch.int16)[:count] < share - 2**15).view(shape).to(like.dtype)
