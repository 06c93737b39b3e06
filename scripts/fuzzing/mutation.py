"""Damaging bytes: what a disk, an editor, another program or an attacker makes of a file that was right."""

from collections.abc import Callable, Sequence
from random import Random

NASTY = [
    *(b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3", b"\r", b"\n", b"\r\n", b"\t", b"\x1a", b"\x85"),
    *("\u2028".encode(), "\u0661\u00b2".encode(), "e\u0301\u200d\U0001f468".encode(), "\u202e".encode()),
    *(b"nan", b"inf", b"-inf", b"1e999", b"-0", b"1_000", b"0x10", b"1e-320", b"-1", b"0", b"1.0", b"1,5", b" 7 "),
    *(b"9" * 19, b"9" * 400, b"9" * 5000, b"true", b"null", b"NA", b"?", b'"', b'""', b"'", b"\\", b"\\ud800"),
    *(b"[", b"]", b"{", b"}", b"[" * 3000, b'{"a":' * 3000, b",", b":", b";", b"=", b"#", b"${", b"}", b"%", b"../"),
    *(b"0001-01-01T00:00:00+23:59", b"9999-12-31", b"2024-02-30", b"29.02.2023", b"<script>", b"-" * 70, b"&a *a"),
]


def mutated(content: bytes, random: Random, words: Sequence[bytes] = ()) -> bytes:
    """Return ``content`` after one to four changes; ``words`` are those of the format, and are put in as well."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        content = random.choice(CHANGES)(content, random, [*NASTY, *words])
    return content


def _flip(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:  # noqa: ARG001
    if not content:
        return content
    at = random.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]


def _insert(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(content))
    return content[:at] + random.choice(words) + content[at:]


def _replace(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    first, end = _span(content, random)
    return content[:first] + random.choice(words) + content[end:]


def _delete(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:  # noqa: ARG001
    first, end = _span(content, random)
    return content[:first] + content[end:]


def _repeat(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:  # noqa: ARG001
    first, end = _span(content, random)
    return content[:first] + content[first:end] * random.choice((2, 3, 300)) + content[end:]


def _truncate(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:  # noqa: ARG001
    return content[: random.randint(0, len(content))]


def _field(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """Put a word in the place of a whole field between commas, colons, quotes or ends of lines."""
    borders = [at for at, byte in enumerate(content) if byte in b',:;"\n\t []{}']
    if not borders:
        return _replace(content, random, words)
    start = random.choice(borders)
    end = next((at for at in borders if at > start), len(content))
    return content[: start + 1] + random.choice(words) + content[end:]


def _lines(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:  # noqa: ARG001
    """Double, drop or exchange lines."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(3)
    if kind == 0:
        lines.insert(other, lines[one])
    elif kind == 1:
        del lines[one]
    else:
        lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def _span(content: bytes, random: Random) -> tuple[int, int]:
    first = random.randint(0, len(content))
    return first, min(len(content), first + random.choice((1, 1, 2, 4, 8, 32)))


CHANGES: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (
    *(_flip, _insert, _insert, _replace, _delete, _repeat, _truncate, _field, _field, _field, _lines),
)
