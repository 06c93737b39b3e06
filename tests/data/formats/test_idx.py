"""The IDX reader: golden bytes, every element type, and nothing but named errors."""

import random
import struct

import numpy as np
import pytest
import torch

from seqmodels.data.formats.idx import ELEMENTS, parse_idx


def idx(array: np.ndarray) -> bytes:
    """Write the format as its description says, independently of the reader."""
    code = {np.dtype(element).newbyteorder("="): code for code, element in ELEMENTS.items()}[array.dtype]
    header = bytes([0, 0, code, array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def test_golden_bytes_read_as_the_tensor_they_spell() -> None:
    content = bytes.fromhex("00 00 08 02  00 00 00 02  00 00 00 03  01 02 03 04 05 ff")
    assert torch.equal(parse_idx(content, "golden"), torch.tensor([[1, 2, 3], [4, 5, 255]], dtype=torch.uint8))


@pytest.mark.parametrize("element", ELEMENTS.values())
def test_every_element_type_comes_back_as_it_was(element: str) -> None:
    dtype = np.dtype(element).newbyteorder("=")
    array = np.arange(1, 31).reshape(3, 5, 2).astype(dtype)
    assert torch.equal(parse_idx(idx(array), "round"), torch.from_numpy(array))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no IDX file"),
        (b"\x1f\x8b\x08\x00", "no IDX file"),
        (b"\0\0\x07\x01\0\0\0\x01\0", "element type must be one of 0x08.*got 0x07"),
        (b"\0\0\x08\x00", "at least 1"),
        (b"\0\0\x08\x03\0\0\0\x01", "header must list 3 sizes"),
        (b"\0\0\x08\x01\0\0\0\x05\1\2\3\4", "make 13 bytes, got 12"),
        (b"\0\0\x08\x01\0\0\0\x02\1\2\3", "make 10 bytes, got 11"),
        (b"\0\0\x08\x01\0\0\0\x00", "make 8 bytes"),
    ],
)
def test_what_is_no_whole_idx_file_is_refused_by_name(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"digits.idx.*{reason}"):
        parse_idx(content, "digits.idx")


def test_random_bytes_are_read_or_refused_by_name() -> None:
    draw = random.Random(0)
    whole = idx(np.arange(24, dtype=np.int16).reshape(4, 6))
    refused = 0
    for _ in range(500):
        content = bytearray(whole[: draw.randrange(len(whole) + 1)] if draw.random() < 0.5 else whole)
        for _ in range(draw.randrange(4)):
            if content:
                content[draw.randrange(len(content))] = draw.randrange(256)
        try:
            parse_idx(bytes(content), "fuzzed")
        except ValueError as error:
            assert "fuzzed" in str(error)  # noqa: PT017
            refused += 1
    assert refused > 200
