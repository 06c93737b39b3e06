"""How to cut a program for a GPU: the columns of a block, the rows of a team, where weights lie."""

from dataclasses import replace
from functools import lru_cache

import torch

from seqmodels.fusion.cuda.card import Card
from seqmodels.fusion.cuda.layout import Layout, Options
from seqmodels.fusion.ops import INPUTS, REDUCTIONS, Op
from seqmodels.fusion.program import Program


@lru_cache(maxsize=1024)
def widest(program: Program) -> int:
    """Return the width by which the columns of a program are shared out: that of its widest product's columns."""
    values = program.values()
    products = [v.width for v in values if v.op is Op.PRODUCT]
    return max(products or [v.width for v in values if v.op not in REDUCTIONS and v.op not in INPUTS] or [1])


def more_rows(program: Program, batch: int, multiprocessors: int) -> bool:
    """Return whether so many rows need more teams of blocks than run at once, if each runs 16."""
    blocks = -(-widest(program) // 16)
    return batch > 16 and blocks * -(-batch // 16) > multiprocessors


def choices(program: Program, dtype: torch.dtype, *, many: bool, ragged: bool, card: Card) -> list[Options]:
    """Return options that fit a GPU, the most promising first; empty if the weights do not fit.

    What was measured on an H100 decides: 16 columns a block, eight warps along the depth, one block a multiprocessor,
    two tiles of rows for ``many`` rows, and weights in registers as far as they go.
    """
    found: list[tuple[bool, Options]] = []
    for row_tiles in (2, 1) if many else (1,):
        for columns in (16, 8, 24, 32):
            blocks = -(-widest(program) // columns)
            if blocks <= card.multiprocessors:
                fitted = _fitted(program, Options(dtype, blocks, row_tiles, ragged=ragged), card.shared_bytes)
                found += [] if fitted is None else [fitted]
    return [options for _, options in sorted(found, key=lambda each: each[0])]


def _fitted(program: Program, options: Options, shared_bytes: int) -> tuple[bool, Options] | None:
    """Return options with as much of the weights in registers as a thread has, the others in shared memory.

    Before them stands whether a thread needs more registers even so; None is returned if shared memory does not do.
    """
    chunks = max((each.chunks for each in Layout(program, options).products), default=1)
    options = replace(options, depth_warps=min(WARPS, 1 << (chunks - 1).bit_length()))
    layout = Layout(program, options)
    most = max((layout.chunks_of_a_warp(each) for each in layout.products), default=0)
    fewest, last = max(1, -(-most * options.row_tiles // 16)), None
    for parts in sorted({fewest, *(parts for parts in (2, 4, 8) if parts > fewest)}):
        for kept in range(most, -1, -1):
            each = replace(options, parts=parts, kept=kept)
            layout = Layout(program, each)
            if 4 * layout.shared_floats(SINGLES) > shared_bytes:
                break
            last = each
            if layout.registers() <= REGISTERS:
                return False, each
    return None if last is None else (True, last)


SINGLES = 8
"""Numbers a row besides reductions for which memory is left; there are rarely more."""

WARPS = 8
"""Most warps that share the depth of a product; there are no more than it has chunks."""

REGISTERS = 232
"""Registers that an estimate may come to: of the 255 that a thread can have, it is off by about twenty."""
