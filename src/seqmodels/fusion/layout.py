"""How streams ``(batch, time, width)`` lie in memory: batch first, or time first, a step's rows side by side."""

from torch import Tensor


def is_time_first(stream: Tensor) -> bool:
    """Return whether ``stream (batch, time, width)`` has time before the batch in memory."""
    return stream.stride(0) < stream.stride(1)


def rows_of(stream: Tensor, time_first: bool) -> Tensor:
    """Return the rows of all steps ``(batch * time, width)``, in either order; a view if they lie in that order."""
    return (stream.transpose(0, 1) if time_first else stream).flatten(0, 1)


def placeholder(stream: Tensor) -> Tensor:
    """Return a tensor with the shape and layout of a stream that nobody reads, in almost no memory."""
    batch, time, size = stream.shape
    strides = (0, 1, 1) if is_time_first(stream) else (1, 0, 1)
    return stream.new_empty(batch + time + size).as_strided(stream.shape, strides)
