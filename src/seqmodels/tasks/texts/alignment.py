"""A picture of which source tokens a model read for each token that it wrote."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

CELL, MARGIN, LETTER = 24, 12, 7  # pixels


class Alignment(NamedTuple):
    """Tokens of a source and of an output, and for each of the latter the weight of each of the former, 0 to 1."""

    source: list[str]
    output: list[str]
    weights: list[list[float]]


def alignment_svg(source: Sequence[str], output: Sequence[str], weights: Sequence[Sequence[float]]) -> str:
    """Draw weights of attention as an SVG picture, which browsers show: a column for each source token, dark if read.

    Args:
        source: tokens of the source.
        output: tokens of the output.
        weights: for each output token, the weight of each source token, 0 to 1.

    Raises:
        ValueError: there is not a weight for each pair of tokens.

    Example:
        >>> alignment_svg(["ein", "Hund"], ["a"], [[0.25, 0.75]]).count("<rect")
        3
    """
    if len(weights) != len(output) or any(len(row) != len(source) for row in weights):
        shape = (len(weights), len(weights[0]) if weights else 0)
        raise ValueError(f"weights must have shape ({len(output)}, {len(source)}), got {shape}")
    left = MARGIN + LETTER * max(map(len, output), default=0)
    top = MARGIN + LETTER * max(map(len, source), default=0)
    width, height = left + CELL * len(source) + MARGIN, top + CELL * len(output) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for column, token in enumerate(source):
        x = left + CELL * column + CELL // 2 + 4
        parts.append(f'<text transform="translate({x},{top - 4}) rotate(-90)">{escape(token)}</text>')
    for row, (token, given) in enumerate(zip(output, weights, strict=True)):
        y = top + CELL * row
        parts.append(f'<text x="{left - 4}" y="{y + CELL // 2 + 4}" text-anchor="end">{escape(token)}</text>')
        for column, weight in enumerate(given):
            shade = f'fill="black" fill-opacity="{min(max(weight, 0), 1):.3f}" stroke="#ccc"'
            title = f"<title>{escape(token)} / {escape(source[column])}: {weight:.3f}</title>"
            parts.append(
                f'<rect x="{left + CELL * column}" y="{y}" width="{CELL}" height="{CELL}" {shade}>{title}</rect>'
            )
    return "\n".join([*parts, "</svg>\n"])
