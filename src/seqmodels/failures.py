"""Failures of a run that are no fault of the program, and that their message explains."""


class RunFailed(RuntimeError):  # noqa: N818  (it names what happened, as its message does)
    """A run cannot go on: the message says where it was, why, and what to try. The command exits with status 1."""
