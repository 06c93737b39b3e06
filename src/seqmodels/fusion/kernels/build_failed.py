"""The failure after which a program runs as torch operators."""


class BuildFailed(RuntimeError):
    """A kernel could not be built or loaded; the message has the first errors of the compiler."""
