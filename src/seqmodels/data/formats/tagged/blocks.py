"""Groups of lines separated by empty ones: the sentences of tagged files."""

from collections.abc import Iterable, Iterator

Block = list[tuple[int, str]]
"""Lines with their numbers, from 1."""


def blocks(lines: Iterable[str]) -> Iterator[Block]:
    """Yield the lines between empty ones, without their ends, as soon as each group is complete.

    Example:
        >>> list(blocks(["a\\n", "b\\n", "\\n", " \\n", "c"]))
        [[(1, 'a'), (2, 'b')], [(5, 'c')]]
    """
    block: Block = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            block.append((number, line.rstrip("\r\n")))
        elif block:
            yield block
            block = []
    if block:
        yield block
