"""Errors in texts: edit distances, and rates of words, characters and phonemes with errors."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

UNITS: Mapping[str, Callable[[str], list[str]]] = {"words": str.split, "phonemes": str.split, "characters": list}
"""How a text is cut into each unit that errors are counted in."""


class Errors(NamedTuple):
    """Errors of an output, and the length of the reference it was compared with."""

    errors: int
    units: int


def edit_distance(output: Sequence[str], reference: Sequence[str]) -> int:
    """Return the smallest number of insertions, deletions and substitutions that turn one sequence into the other.

    Example:
        >>> edit_distance("kitten", "sitting")
        3
    """
    if not output or not reference:
        return len(output) or len(reference)
    number = {unit: index for index, unit in enumerate(dict.fromkeys([*output, *reference]))}
    written = np.array([number[unit] for unit in output])
    places = np.arange(len(output) + 1)
    row = places
    for index, unit in enumerate(reference, start=1):
        # without insertions first; these then run from left to right, each one more than its left neighbour
        changed = np.minimum(row[1:] + 1, row[:-1] + (written != number[unit]))
        row = np.minimum.accumulate(np.concatenate([[index], changed]) - places) + places
    return int(row[-1])


def errors_of(output: str, references: Sequence[str], unit: str) -> Errors:
    """Count the errors of a text against the nearest of its references.

    Args:
        output: the text.
        references: the texts that are right, at least one; the nearest is that with the lowest rate of errors.
        unit: ``words`` or ``phonemes``, separated by white space, or ``characters``.

    Raises:
        ValueError: there is no reference, or the unit is unknown.

    Example:
        >>> errors_of("the cat sat", ["a cat sat down", "the cat is sitting"], "words")
        Errors(errors=2, units=4)
    """
    if not references:
        raise ValueError("references must hold at least one text, got none")
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    cut = UNITS[unit]
    written = cut(output)
    found = [Errors(edit_distance(written, right), len(right)) for right in map(cut, references)]
    return min(found, key=lambda errors: (errors.errors / max(errors.units, 1), -errors.units))


def error_rate(outputs: Iterable[str], references: Iterable[Sequence[str]], unit: str) -> float:
    """Return the number of errors in all outputs divided by the length of all references.

    Args:
        outputs: texts.
        references: for each output the texts that are right, at least one.
        unit: as in :func:`errors_of`.

    Returns:
        The rate, 0 if there are no errors; above 1 if there are more errors than units.

    Raises:
        ValueError: as :func:`errors_of`, or there are no outputs, or fewer or more than references.

    Example:
        >>> error_rate(["a b", "c"], [["a b"], ["d e"]], "words")
        0.5
    """
    counts = [errors_of(*pair, unit) for pair in zip(outputs, references, strict=True)]
    if not counts:
        raise ValueError("outputs must hold at least one text, got none")
    return sum(count.errors for count in counts) / max(sum(count.units for count in counts), 1)
