"""A line chart as SVG, drawn without a library, so that a page can show it as it is."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 60, 190, 20, 50
COLOURS = ("#8c8c8c", "#d62728", "#1f77b4", "#17becf", "#2ca02c", "#9467bd", "#ff7f0e")
DECADES = 12  # shown below and above 1


def chart(steps: Sequence[int], lines: Mapping[str, Sequence[float]], threshold: float) -> str:
    """Return the decimal logarithms of norms over steps, both axes logarithmic, with the band that counts as healthy.

    Args:
        steps: positions of the points, rising.
        lines: logarithms by name; what lies beyond DECADES leaves the picture.
        threshold: lower end of the band, whose upper end is its inverse.
    """
    low, high = math.log10(steps[0]), math.log10(steps[-1])

    def across(step: float) -> float:
        return LEFT + (math.log10(step) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def down(value: float) -> float:
        return TOP + (DECADES / 2 - value) / (1.5 * DECADES) * (HEIGHT - TOP - BOTTOM)

    bound = -math.log10(threshold)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<rect x="{LEFT}" y="{down(bound):.1f}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{down(-bound) - down(bound):.1f}" fill="#e8f3e8"/>',
        f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
    ]
    for value in range(-DECADES, DECADES // 2 + 1, 3):
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(value):.1f}" y2="{down(value):.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 6}" y="{down(value) + 4:.1f}" text-anchor="end">1e{value:+d}</text>'
        )
    parts += [
        f'<text x="{across(step):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{step}</text>' for step in steps
    ]
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">steps back</text>')
    for place, (name, values) in enumerate(lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        points = " ".join(f"{across(s):.1f},{down(max(v, -999)):.1f}" for s, v in zip(steps, values, strict=True))
        line = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" clip-path="url(#plot)"/>'
        height = TOP + 12 + 20 * place
        key = f'<line x1="{WIDTH - RIGHT + 12}" x2="{WIDTH - RIGHT + 32}" y1="{height - 4}" y2="{height - 4}" '
        key += f'stroke="{colour}" stroke-width="2"/><text x="{WIDTH - RIGHT + 38}" y="{height}">{escape(name)}</text>'
        parts.append(line + key)
    return "\n".join([*parts, "</svg>"]) + "\n"
