"""Single units: how often a gate is saturated, and which unit follows a property of the input."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.data.text.vocabulary import EOS
from seqmodels.inspection.gates.activations import Range
from seqmodels.sequence import length_mask

EDGE = 0.1
"""A value closer than this to an end of its range is saturated, as in Karpathy et al. (2015, arXiv 1506.02078)."""


class Saturation(NamedTuple):
    """Share of the steps at which each unit of a gate is at an end of its range, ``(units,)`` each."""

    low: Tensor
    high: Tensor


class Follower(NamedTuple):
    """A unit and the property of the input that it follows."""

    property: str
    unit: int
    correlation: float  # over the half of the steps by which the unit was chosen
    held_out: float  # over the other half


def saturation(values: Tensor, bounds: Range, lengths: Tensor | None = None, edge: float = EDGE) -> Saturation:
    """Return how often each unit of a gate is closed and open.

    Args:
        values: of a gate, ``(batch, time, units)``.
        bounds: least and greatest value of the gate.
        lengths: number of real steps of each sequence, ``(batch,)``; all by default.
        edge: distance from a bound up to which a value counts.

    Raises:
        ValueError: the values have no bounds.

    Example:
        >>> low, high = saturation(torch.tensor([[[0.02, 0.5], [0.97, 0.5]]]), (0.0, 1.0))
        >>> low.tolist(), high.tolist()
        ([0.5, 0.0], [0.5, 0.0])
    """
    if bounds is None:
        raise ValueError("values without bounds are never saturated")
    real = real_steps(values, lengths)
    return Saturation((real <= bounds[0] + edge).float().mean(0), (real >= bounds[1] - edge).float().mean(0))


def real_steps(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the real steps of ``values (batch, time, ...)``, one after the other."""
    if lengths is None:
        return values.flatten(0, 1)
    return values[length_mask(lengths.to(values.device), values.shape[1])]


def followers(values: Tensor, properties: Mapping[str, Tensor], lengths: Tensor | None = None) -> list[Follower]:
    """Return for each property of the input the unit that follows it most closely, the closest first.

    The unit is the one with the largest correlation, positive or negative, over the first half of the sequences (of
    the steps, if there is one sequence). Among many units some correlates by chance; the correlation over the other
    half, which had no part in the choice, tells whether this one does.

    Args:
        values: of gates or states, ``(batch, time, units)``.
        properties: by name, ``(batch, time)``.
        lengths: number of real steps of each sequence, ``(batch,)``; all by default.

    Returns:
        One for each property that varies in both halves.

    Raises:
        ValueError: a property has another shape, or there are fewer than four steps.

    Example:
        >>> depth = torch.tensor([[0.0, 1, 2, 1, 0, 1, 2, 1]])
        >>> follower, = followers(torch.stack([torch.ones(1, 8), -depth], 2), {"depth": depth})
        >>> follower.unit, round(follower.held_out, 3)
        (1, -1.0)
    """
    batch, time = values.shape[:2]
    for name, values_of_property in properties.items():
        if values_of_property.shape != (batch, time):
            raise ValueError(f"{name} must have shape {(batch, time)}, got {tuple(values_of_property.shape)}")
    real = torch.ones(batch, time, dtype=torch.bool) if lengths is None else length_mask(lengths.cpu(), time)
    if int(real.sum()) < 4:
        raise ValueError(f"correlations need at least four steps, got {int(real.sum())}")
    first = real.clone()
    if batch > 1:
        first[batch // 2 :] = False
    else:
        first[:, int(real.sum()) // 2 :] = False
    names, stacked = list(properties), torch.stack(list(properties.values()), 2)
    chosen, held_out = (_correlations(values.cpu()[part], stacked.cpu()[part]) for part in (first, real & ~first))
    found = []
    for column, name in enumerate(names):
        unit = int(chosen[:, column].abs().nan_to_num(-1).argmax())
        pair = (float(chosen[unit, column]), float(held_out[unit, column]))
        if not any(map(torch.isnan, map(torch.tensor, pair))):
            found.append(Follower(name, unit, *pair))
    return sorted(found, key=lambda follower: -abs(follower.held_out))


def _correlations(values: Tensor, properties: Tensor) -> Tensor:
    """Return the correlation of each unit with each property over ``(steps, ...)``; NaN where one is constant."""

    def standard(x: Tensor) -> Tensor:
        x = x.double() - x.double().mean(0)
        norm = x.norm(dim=0)
        return x / norm.masked_fill(norm < 1e-9 * len(x) ** 0.5, torch.nan)

    return standard(values).T @ standard(properties)


def text_properties(pieces: Sequence[Sequence[str]]) -> dict[str, Tensor]:
    """Return properties of each token of some texts that a unit may follow, ``(batch, time)`` each, 0 in the padding.

    They are the position; whether the token begins with a letter, capital letter, digit, punctuation mark or is a
    space; the number of tokens since the last line end; the depth of brackets, and whether it lies in double quotes.

    Args:
        pieces: the tokens of each text.

    Example:
        >>> text_properties([list("a(b)")])["bracket depth"].tolist()
        [[0.0, 1.0, 1.0, 0.0]]
    """
    longest = max(map(len, pieces), default=0)
    found: dict[str, Tensor] = {"position": torch.arange(longest).float().expand(len(pieces), -1)}
    for name, matches in _CLASSES.items():
        rows = [[float(bool(piece) and matches(piece[0])) for piece in row] for row in pieces]
        found[name] = torch.tensor([row + [0.0] * (longest - len(row)) for row in rows])
    columns = {"bracket depth": _bracket_depth, "in quotes": _in_quotes}
    if any(_ends_line(piece) for row in pieces for piece in row):  # otherwise they are the position
        columns["steps since line end"] = _since_line_end
    for name, count in columns.items():
        found[name] = torch.tensor([count(row) + [0.0] * (longest - len(row)) for row in pieces])
    return found


_CLASSES: dict[str, Callable[[str], bool]] = {
    "letter": str.isalpha,
    "capital": str.isupper,
    "digit": str.isdigit,
    "space": str.isspace,
    "punctuation": lambda character: not character.isalnum() and not character.isspace(),
}


def _ends_line(piece: str) -> bool:
    return "\n" in piece or piece == EOS


def _since_line_end(row: Sequence[str]) -> list[float]:
    found, count = list[float](), 0
    for piece in row:
        found.append(float(count))
        count = 0 if _ends_line(piece) else count + 1
    return found


def _bracket_depth(row: Sequence[str]) -> list[float]:
    found, depth = list[float](), 0
    for piece in row:
        opened = sum(map(piece.count, "([{"))
        depth = max(0, depth + opened - sum(map(piece.count, ")]}")))
        found.append(float(depth))
    return found


def _in_quotes(row: Sequence[str]) -> list[float]:
    found, inside = list[float](), False
    for piece in row:
        inside ^= bool(piece.count('"') % 2)
        found.append(float(inside))
    return found
