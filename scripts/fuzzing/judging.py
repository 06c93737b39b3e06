"""Reading one input and judging what came of it."""

import os
import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import seqmodels

PACKAGE = str(Path(seqmodels.__file__).parent)
OURS = (ValueError, TypeError, OSError)  # ConfigError is a ValueError
NAME = "fuzzed"  # what inputs are called: a message must say it
SECONDS = 5.0  # of the processor, for one input
PATIENCE = 60  # times as long on the clock, where the processor waits or others use it
MEMORY = 3 << 30  # bytes that reading may take beyond what the process has


class Reader(NamedTuple):
    """Something that reads input from outside.

    ``read`` raises, or returns what is then checked by ``sound``: None, or what is wrong with it. ``write`` makes
    valid content and says what reading must give. ``seeds`` are valid contents that mutations begin with.
    """

    name: str
    read: Callable[[bytes], Any]
    seeds: list[bytes]
    write: Callable[[Random], tuple[bytes, Any]] | None = None
    sound: Callable[[Any], str | None] = lambda _: None
    words: tuple[bytes, ...] = ()
    named: Callable[[bytes, str], bool] = lambda _, message: NAME in message
    share: int = 100  # how many of its inputs are read where others have 100: some readers are slow


class Fault(NamedTuple):
    """What is wrong with a reader, and the input that shows it."""

    reader: str
    reason: str
    content: bytes


class Late(BaseException):
    """Reading took too long."""


def judge(reader: Reader, content: bytes) -> tuple[bool, str | None]:
    """Return whether an input was accepted, and what is wrong with how it was received."""
    try:
        with limited():
            result = reader.read(content)
    except OURS as error:
        return False, _unnamed(reader, content, error)
    except Late:
        return False, f"takes more than {SECONDS} s"
    except (Exception, SystemExit) as error:
        return False, f"{type(error).__name__} from {_place(error)}: {str(error)[:200]}"
    return True, reader.sound(result)


def judge_written(reader: Reader, random: Random) -> tuple[bytes, str | None]:
    """Write valid content and read it; return it, with what is wrong where it does not come back."""
    assert reader.write is not None
    content, expected = reader.write(random)
    try:
        with limited():
            result = reader.read(content)
    except Exception as error:
        return content, f"valid content is refused: {type(error).__name__}: {str(error)[:300]}"
    return content, None if result == expected else f"comes back as {result!r:.300}, written as {expected!r:.300}"


def _unnamed(reader: Reader, content: bytes, error: BaseException) -> str | None:
    """Say what an error lacks: it must be raised by our own lines, in one message that says where."""
    place, message = _place(error), str(error)
    if not place.startswith(PACKAGE):
        return f"{type(error).__name__} from {place}: {message[:200]}"
    if not reader.named(content, message):
        return f"{type(error).__name__} from {place} names no place: {message[:200]}"
    return f"the message has {len(message)} characters" if len(message) > 1000 + 4 * len(content) else None


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"


@contextmanager
def limited() -> Iterator[None]:
    """Raise :class:`Late` after ``SECONDS`` of work, or many more of waiting."""

    def late(number: int, frame: Any) -> None:  # noqa: ARG001
        raise Late

    timers = ((signal.ITIMER_PROF, signal.SIGPROF, SECONDS), (signal.ITIMER_REAL, signal.SIGALRM, SECONDS * PATIENCE))
    before = [signal.signal(number, late) for _, number, _ in timers]
    for timer, _, seconds in timers:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (timer, number, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def limit_memory() -> None:
    """Let this process have no more than ``MEMORY`` beyond what it has: more is an error instead of a full machine."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
