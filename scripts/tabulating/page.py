"""Tables in Markdown, between marks in a page."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path


def between_marks(page: Path, mark: str, content: str) -> None:
    """Replace what stands between ``<!-- mark -->`` and ``<!-- end of mark -->``."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    text = page.read_text()
    page.write_text(f"{text[: text.index(begin) + len(begin)]}\n\n{content}\n\n{text[text.index(end) :]}")


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    return "\n".join([f"| {' | '.join(header)} |", "|---" * len(header) + "|", *(f"| {' | '.join(r)} |" for r in rows)])


def spread(numbers: Sequence[float]) -> str:
    """Return mean and standard deviation."""
    mean = statistics.fmean(numbers)
    deviation = f" ± {statistics.stdev(numbers):.2g}" if len(numbers) > 1 else ""
    return f"{mean:.4g}{deviation}" if mean < 1e4 else f"{mean:.0f}"
