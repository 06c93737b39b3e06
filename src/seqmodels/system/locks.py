"""Locks between processes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process at a time do what stands within; the others wait, and then find its files.

    Where there are no locks (Windows, a folder that is only read), each does the same for itself.

    Args:
        path: of the file that is locked; its folder is made.
    """
    with ExitStack() as held:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(path.open("wb"))
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
