"""Kill a child process at a chosen line or byte, and inspect the files it leaves."""

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

Work = Callable[[], object]


def in_child(work: Work) -> int:
    """Run ``work`` in a forked child; return 0 where it came to its end, else minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def traced(work: Work, files: tuple[str, ...], at_each: Callable[[int], object]) -> int:
    """Run ``work``, and ``at_each`` before each line within ``files``, with its number; return how many there were.

    Functions called ``write`` are left out: they run for each piece of a file, and :func:`killed_at_byte` is for those.
    """
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.endswith(files) or frame.f_code.co_name == "write":
            return None
        if event == "line":
            seen += 1
            at_each(seen)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return seen


def at_line(work: Work, files: tuple[str, ...], number: int, action: Work) -> bool:
    """Run ``work``, and ``action`` as it reaches the ``number``-th line within ``files``; return whether it did."""
    return traced(work, files, lambda line: action() if line == number else None) >= number


def killed_at_line(work: Work, files: tuple[str, ...], number: int) -> int:
    """Run ``work`` in a child that is killed as it reaches the ``number``-th line within ``files``."""
    return in_child(lambda: at_line(work, files, number, lambda: os.kill(os.getpid(), signal.SIGKILL)))


def lines_that_matter(work: Work, files: tuple[str, ...], folder: Path) -> list[int]:
    """Run ``work``; return the lines within ``files`` before which a folder has changed, and the first.

    A process that is killed at any other line leaves what it leaves at the one of these before it.
    """
    numbers: list[int] = []
    known: list[Any] = [None]

    def look(number: int) -> None:
        facts = [(path.name, path.lstat()) for path in sorted(folder.iterdir())]
        now = [(name, fact.st_ino, fact.st_size, fact.st_mtime_ns, fact.st_nlink) for name, fact in facts]
        if now != known[0]:
            known[0] = now
            numbers.append(number)

    traced(work, files, look)
    return numbers


def killed_at_byte(work: Work, size: int) -> int:
    """Run ``work`` in a child that the system ends as it writes more than ``size`` bytes to one file."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        work()

    return in_child(limited)


def answer_with_limit(work: Callable[[], str], size: int) -> str:
    """Return what ``work`` returns in a child for which no file may become larger than ``size`` bytes."""
    reading, writing = os.pipe()

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        os.write(writing, work().encode())

    in_child(limited)
    os.close(writing)
    answer = os.read(reading, 1 << 16).decode()
    os.close(reading)
    return answer
