"""Errors that callers may want to tell apart."""


class Refused(ValueError):  # noqa: N818 - it is an answer to a question: the next back-end is asked
    """A back-end cannot run a cell; the message says what in the cell it is and, where it can, in which line."""


class UnsupportedContext(Refused):
    """A back-end cannot run any cell where it was called, under a transform or a mode."""


class Mutating(Refused):
    """A step changes what it reads, so that it will be something else at the next call."""
