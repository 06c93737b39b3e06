"""Every exception that callers may want to tell apart, and the hint for a name that was mistyped."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: object, names: Iterable[object], cutoff: float = 0.6) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of ``names``, or nothing when none is close.

    Example:
        >>> nearest("lsmt", ["gru", "lstm"])
        "; did you mean 'lstm'?"
        >>> nearest("transformer", ["gru", "lstm"])
        ''
    """
    close = get_close_matches(str(name), [str(known) for known in names], n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""


class SeqmodelsError(Exception):
    """Base of all errors of this package, but for an argument that is wrong: that is a plain ``ValueError``."""


class Refused(SeqmodelsError, ValueError):  # noqa: N818 - it is an answer to a question: the next back-end is asked
    """A back-end cannot run a cell; the message says what in the cell it is and, where it can, in which line."""


class UnsupportedContext(Refused):
    """A back-end cannot run any cell where it was called, under a transform or a mode."""


class Mutating(Refused):
    """A step changes what it reads, so that it will be something else at the next call."""


class ConfigError(SeqmodelsError, ValueError):
    """A configuration is wrong: the message names the key, the rule and, for a typo, the nearest right name."""


class TargetRefused(ConfigError):  # noqa: N818  (it names what happened, as its message does)
    """A configuration names something that is not on the allow-list."""


class NoSuchMetric(ConfigError):  # noqa: N818  (it says what is wrong, as its message does)
    """A sweep watches a metric that its runs do not log."""


class CorruptCheckpointError(ConfigError):
    """A checkpoint cannot be used; the message has its path, the reason, and another one beside it that can."""


class ForeignCheckpointError(SeqmodelsError, ValueError):
    """What was read is no checkpoint of this package."""


class UnsupportedVersionError(SeqmodelsError, ValueError):
    """A newer version of the package wrote the checkpoint."""


class DiskFullError(SeqmodelsError, OSError):
    """There is no room left for a file; the one that it would have replaced is as it was."""


class DownloadError(SeqmodelsError, OSError):
    """A published file could not be had from any of its addresses."""


class RunFailed(SeqmodelsError, RuntimeError):  # noqa: N818  (it names what happened, as its message does)
    """A run cannot go on: the message says where it was, why, and what to try. The command exits with status 1."""


class LoadingFailed(RunFailed):
    """A batch could not be read, or its worker process is gone or does not answer."""


class NotFinite(RunFailed):
    """A loss or a gradient is NaN or infinite; no update was made of it."""


class OutOfMemory(RunFailed):
    """A step asks for more memory than there is."""


class ProcessLost(RunFailed):
    """Another process of the run has ended, or does not answer."""
