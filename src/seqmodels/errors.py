"""Every exception that callers may want to distinguish, and the wording that messages share."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def nearest(name: object, names: Iterable[object], cutoff: float = 0.6) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of ``names`` in any case, or nothing when none is close.

    Example:
        >>> nearest("LSMT", ["gru", "lstm"])
        "; did you mean 'lstm'?"
        >>> nearest("transformer", ["gru", "lstm"])
        ''
    """
    known = {str(each).casefold(): str(each) for each in names}
    close = get_close_matches(str(name).casefold(), known, n=1, cutoff=cutoff)
    return f"; did you mean {known[close[0]]!r}?" if close else ""


def shortened(items: Sequence[str], most: int, comma: str = ", ") -> str:
    """Return the first items as a list, with the number of the others.

    Example:
        >>> shortened(["red", "green", "blue"], most=1)
        'red, and 2 more'
    """
    rest = len(items) - most
    return comma.join([*items[:most], *([f"and {rest} more"] if rest > 0 else [])])


def extent(numbers: Iterable[int]) -> str:
    """Return the smallest and the largest of some numbers as text; ``"0"`` for none.

    Example:
        >>> extent([7, 3, 5]), extent([4, 4])
        ('3 to 7', '4')
    """
    found = set(numbers) or {0}
    return f"{min(found)} to {max(found)}" if len(found) > 1 else f"{min(found)}"


class SeqmodelsError(Exception):
    """Base of all errors of this package, except for a wrong argument, which is a plain ``ValueError``."""


class Refused(SeqmodelsError, ValueError):  # noqa: N818 - not a failure: the next back-end is tried
    """A back-end cannot run a cell; the message names the cause and, where it is known, the line of the cell's code."""


class UnsupportedContext(Refused):
    """A back-end cannot run any cell in the context of the call, such as a transform or a mode."""


class Mutating(Refused):
    """A step changes what it reads, so that the next call would compute something else."""


class ConfigError(SeqmodelsError, ValueError):
    """A configuration is wrong: the message names the key, the rule and, for a typo, the nearest right name."""


class TargetRefused(ConfigError):  # noqa: N818  (it names what happened, as its message does)
    """A configuration names something that is not on the allow-list."""


class NoSuchMetric(ConfigError):  # noqa: N818  (it says what is wrong, as its message does)
    """A sweep watches a metric that its runs do not log."""


class CorruptCheckpointError(ConfigError):
    """A checkpoint cannot be used; the message has its path, the reason, and one beside it that can be used."""


class ForeignCheckpointError(SeqmodelsError, ValueError):
    """A file is not a checkpoint of this package."""


class UnsupportedVersionError(SeqmodelsError, ValueError):
    """A newer version of the package wrote the checkpoint."""


class DiskFullError(SeqmodelsError, OSError):
    """There is no space left for a file; the one that it would have replaced is unchanged."""


class DownloadError(SeqmodelsError, OSError):
    """A published file could not be downloaded from any of its addresses."""


class RunFailed(SeqmodelsError, RuntimeError):  # noqa: N818  (it names what happened, as its message does)
    """A run cannot go on: the message says where it was, why, and what to try. The command exits with status 1."""


class LoadingFailed(RunFailed):
    """A batch could not be read, or its worker process has died or does not respond."""


class NotFinite(RunFailed):
    """A loss or a gradient is NaN or infinite; no update was made with it."""


class OutOfMemory(RunFailed):
    """A step needs more memory than there is."""


class ProcessLost(RunFailed):
    """Another process of the run has ended or does not respond."""
