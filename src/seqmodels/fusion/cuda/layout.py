"""Where everything of a program lies on a GPU: columns of a block, exchanged words, registers and shared memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from seqmodels.fusion.ops import Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.schedule import Schedule, schedule
from seqmodels.fusion.values import Product, Selection, Value

BYTES = {torch.bfloat16: 2, torch.float16: 2, torch.float32: 4}
"""Types that kernels are written in; products of float32 are those of TF32."""

BANKS = 32
"""Floats of shared memory that a warp reads at once if each lies in another bank."""

CHUNK = 64
"""Bytes of a row of an operand that four lanes load at once: operands are padded to a multiple."""


@dataclass(frozen=True)
class Options:
    """How a program is cut for a GPU.

    Attributes:
        dtype: of streams, carries, weights and outputs; sums and carries inside are float32.
        blocks: how many blocks share the columns of a row: a team.
        row_tiles: times 16 rows of the batch that a team runs at once.
        depth_warps: warps of a block that share the depth of a product, times ...
        column_warps: ... warps that share its columns.
        kept: most chunks of a warp's weight that are kept in registers; the others are in shared memory.
        parts: in how many parts an operand is loaded and multiplied, to save registers.
        ragged: whether there are lengths or resets.
    """

    dtype: torch.dtype
    blocks: int
    row_tiles: int = 1
    depth_warps: int = 8
    column_warps: int = 1
    kept: int = 99
    parts: int = 1
    ragged: bool = False

    @property
    def chunk(self) -> int:
        """Numbers of a chunk of depth."""
        return CHUNK // BYTES[self.dtype]

    @property
    def threads(self) -> int:
        return 32 * self.depth_warps * self.column_warps

    @property
    def rows(self) -> int:
        return 16 * self.row_tiles


@dataclass(frozen=True)
class Part:
    """Columns of a carry that one value of the program fills: they stay in the registers of who owns the columns."""

    carry: int
    start: int
    value: Value  # what they become


@dataclass(frozen=True)
class Multiplied:
    """A product as a block computes it."""

    number: int
    product: Product
    level: int
    gates: tuple[Value, ...]  # the columns that are asked for, side by side
    at: int  # where its operand begins in a row of operands
    chunks: int


class Layout:
    """The places of a program's values for some options."""

    def __init__(self, program: Program, options: Options) -> None:
        self.program, self.options = program, options
        self.schedule = _scheduled(program)
        self.parts = [
            Part(i, sum(other.width for other in group[:place]), value)
            for i, group in enumerate(program.carried)
            for place, value in enumerate(group)
        ]
        self._own = {(part.carry, part.start, part.value.width) for part in self.parts}
        blocks = [block for each in self.schedule.passes.values() for block in each.blocks]
        self.operands: list[tuple[Value, int]] = []  # numbers of a row of operands: which value, and where it begins
        self.operand_width = 0
        self.aliases = {} if options.ragged else self._aliases(blocks)  # where outputs begin that are operands
        self.products = [
            self._multiplied(number, gates)
            for number, gates in _by_product(blocks).items()
            if isinstance(program.products[number], Product)
        ]
        self.selections = {
            number: gates
            for number, gates in _by_product(blocks).items()
            if isinstance(program.products[number], Selection)
        }
        self.sums: dict[int, int] = {}  # where the partial sums of each product begin, in half of the memory for them
        ends: dict[int, int] = {}
        for each in self.products:  # those of a level lie side by side
            self.sums[each.number] = ends.get(each.level, 0)
            ends[each.level] = self.sums[each.number] + options.depth_warps * options.rows * self.wide(each)
        self.sums_size = max(ends.values(), default=0)
        passes = self.schedule.passes.values()
        self.reductions = [v for each in passes for v in sorted(each.reductions, key=lambda v: v.op)]
        self.floats: dict[Value, int] = {}  # values that any thread may read: where they begin in a row of such
        self.float_width = 0
        for number in self.selections:
            for piece in program.products[number].operand:
                self._show(piece)
        self.shown_carries: dict[int, int] = {}  # carries that are read in other columns than they are owned in
        values = [*program.values(), *(p for m in self.products for p in m.product.operand)]
        for carry in sorted({v.columns.source for v in values if v.op is Op.CARRY and not self.owned(v)}):
            self.shown_carries[carry] = self.float_width
            self.float_width += program.carries[carry]

    def columns(self, width: int) -> int:
        """Return how many columns of values of a width a block owns; numbers of one a row are every block's."""
        return 1 if width == 1 else 8 * -(-width // (8 * self.options.blocks))

    def owned(self, carry: Value) -> bool:
        """Return whether a slice of a carry is one part of it."""
        return (*carry.columns, carry.width) in self._own

    def tiles(self, gate: Value) -> int:
        """Return how many tiles of eight columns of a product a block computes for a gate."""
        return -(-self.columns(gate.width) // 8)

    def wide(self, each: Multiplied) -> int:
        """Return the floats from one row of partial sums to the next: threads of a warp read from different banks."""
        tiles, columns = 8 * sum(map(self.tiles, each.gates)), self.columns(each.gates[0].width)
        return tiles + ((columns if columns in (8, 16) else 8) - tiles) % BANKS

    def padded(self, value: Value) -> int:
        """Return the numbers that a value takes in a row of operands."""
        return -(-value.width // self.options.chunk) * self.options.chunk

    def chunks_of_a_warp(self, each: Multiplied) -> int:
        return -(-each.chunks // self.options.depth_warps)

    def columns_of_a_warp(self, each: Multiplied) -> int:
        """Return the tiles of eight columns that a warp computes."""
        return -(-sum(map(self.tiles, each.gates)) // self.options.column_warps)

    def far(self, each: Multiplied) -> int:
        """Return the vectors of 16 bytes of a product's weight that lie in shared memory."""
        out = max(0, self.chunks_of_a_warp(each) - self.options.kept)
        return out * self.columns_of_a_warp(each) * self.options.threads

    @property
    def terms(self) -> int:
        """Floats of shared memory for what is reduced together."""
        passes = self.schedule.passes.items()
        return max(self.options.rows * self.columns(key.width) * len(work.reductions) for key, work in passes)

    def shared_floats(self, singles: int) -> int:
        """Return the floats of shared memory of a block, with so many numbers a row besides reductions."""
        rows = self.options.rows * (len(self.reductions) + singles)
        return 2 * self.sums_size + self.terms + rows + 4 * sum(map(self.far, self.products))

    def registers(self) -> int:
        """Return about how many registers a thread needs; beyond 255 they spill to memory."""
        o, weights = self.options, 0
        sums = operand = 0
        for each in self.products:
            count, wide = self.chunks_of_a_warp(each), self.columns_of_a_warp(each)
            weights += min(o.kept, count) * wide * 4
            operand = max(operand, -(-count // o.parts) * 8 * o.row_tiles)
            sums = max(sums, wide * 4 * o.row_tiles)
        owned = [(v, -(-o.rows * self.columns(v.width) // o.threads)) for v in self.program.values()]
        streams = sum(2 * n for v, n in owned if v.op is Op.STREAM)
        lasting = sum(n for v, n in owned if v.op in (Op.CARRY, Op.VECTOR))
        lasting += sum(-(-o.rows * self.columns(v.width) // o.threads) for g in self.program.totals for v in g)
        live = max((n for _, n in owned), default=1)
        return weights + max(operand + sums, 8 * live) + streams + lasting + 34 + 16 * self.program.backwards

    def _multiplied(self, number: int, gates: Sequence[Value]) -> Multiplied:
        product = self.program.products[number]
        assert isinstance(product, Product)
        chunks = sum(self.padded(piece) for piece in product.operand) // self.options.chunk
        return Multiplied(number, product, gates[0].level, tuple(gates), self._place(product.operand), chunks)

    def _aliases(self, blocks: Sequence[Value]) -> dict[int, int]:
        """Place outputs whose values are operands as the output wants them, and return where; they are written once.

        A sequence that ends early leaves rows of operands unwritten, which outputs may not be. The cell's own output
        lies by itself, and so does each of several outputs of a backward program.
        """
        found: dict[int, int] = {}
        products = [self.program.products[number] for number in _by_product(blocks)]
        operands = [product.operand for product in products if isinstance(product, Product)]
        for index, group in enumerate(self.program.outputs):
            if (found or index > 0) if self.program.backwards else index == 0:
                continue
            read = [operand for operand in operands if not set(operand).isdisjoint(group)]
            whole = set(group) <= {piece for operand in read for piece in operand} and len(set(group)) == len(group)
            gaps = any(value.width % self.options.chunk for value in group[:-1])
            known = {value for value, _ in self.operands}
            if whole and not gaps and known.isdisjoint(group) and all(_start(group, each) is not None for each in read):
                found[index] = self._place(group)
        return found

    def _place(self, pieces: Sequence[Value]) -> int:
        """Return where pieces lie side by side in a row of operands; add them if they do not."""
        if (start := _start([value for value, _ in self.operands], pieces)) is not None:
            return self.operands[start][1]
        begin = self.operand_width
        for piece in pieces:
            self.operands.append((piece, self.operand_width))
            self.operand_width += self.padded(piece)
        return begin

    def _show(self, value: Value) -> None:
        if value not in self.floats:
            self.floats[value] = self.float_width
            self.float_width += value.width


def _start(values: Sequence[Value], pieces: Sequence[Value]) -> int | None:
    """Return where pieces begin among values, side by side and in order."""
    starts = range(len(values) - len(pieces) + 1)
    return next((start for start in starts if list(values[start : start + len(pieces)]) == list(pieces)), None)


def _by_product(blocks: Sequence[Value]) -> dict[int, list[Value]]:
    found: dict[int, list[Value]] = {}
    for block in blocks:
        found.setdefault(block.columns.source, []).append(block)
    return found


@lru_cache(maxsize=64)
def _scheduled(program: Program) -> Schedule:
    return schedule(program)
