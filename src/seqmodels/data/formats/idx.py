"""The IDX format: big-endian tensors of numbers, as used by MNIST."""

import math
import struct

import numpy as np
import torch
from torch import Tensor

ELEMENTS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def parse_idx(content: bytes, name: str) -> Tensor:
    """Return the tensor encoded in ``content``; ``name`` is used in error messages.

    The format: two zero bytes, the element type code, the number of dimensions, each dimension as a 32-bit integer,
    then the elements in row-major order.

    Raises:
        ValueError: ``content`` is not a complete IDX file.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{name} is no IDX file: it must start with two zero bytes, got {content[:4].hex(' ')!r}")
    code, dimensions = content[2], content[3]
    if code not in ELEMENTS:
        known = ", ".join(f"0x{known:02x}" for known in ELEMENTS)
        raise ValueError(f"{name}: the element type must be one of {known}, got 0x{code:02x}")
    start = 4 + 4 * dimensions
    if dimensions < 1 or len(content) < start:
        raise ValueError(
            f"{name}: its header must list {dimensions} sizes (at least 1), and ends after {len(content)} bytes"
        )
    sizes = struct.unpack_from(f">{dimensions}I", content, 4)
    element = np.dtype(ELEMENTS[code])
    expected = start + math.prod(sizes) * element.itemsize
    if 0 in sizes or len(content) != expected:
        raise ValueError(f"{name}: sizes {sizes} of {element.name} make {expected} bytes, got {len(content)}")
    array = np.frombuffer(content, element, offset=start).reshape(sizes)
    return torch.from_numpy(array.astype(element.newbyteorder("=")))
