"""The kernels of cells: their texts, and what the compiler says of them; no card is needed."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from benchmarking.cases import CASES

from gpu_checks.common import DTYPES, WRAPPERS, Records
from seqmodels.cells import Cell
from seqmodels.errors import Refused
from seqmodels.fusion.cuda.cuts import choices, more_rows
from seqmodels.fusion.cuda.emit import Source
from seqmodels.fusion.cuda.nvrtc import Image, compiled
from seqmodels.fusion.cuda.prelude import prelude
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.plan import step_of


class KnownCard(NamedTuple):
    """A card that need not be there."""

    name: str
    multiprocessors: int
    shared_bytes: int


CARDS = {
    "sm_80": KnownCard("A100", 108, 163 << 10),
    "sm_86": KnownCard("RTX 3090", 82, 99 << 10),
    "sm_89": KnownCard("RTX 4090", 128, 99 << 10),
    "sm_90": KnownCard("H100", 132, 227 << 10),
    "sm_100": KnownCard("B200", 148, 227 << 10),
    "sm_120": KnownCard("RTX 5090", 170, 99 << 10),
}


class Wanted(NamedTuple):
    """A kernel to compile."""

    what: str
    dtype: torch.dtype
    source: Source


def wanted(name: str, cell: Cell[Any], dtype: torch.dtype, batch: int, card: Any, *, ragged: bool) -> Iterator[Wanted]:
    """Yield the kernels that a training step of a cell takes first.

    Raises:
        BuildFailed: a program does not fit the card.
    """
    cell = cell.to(dtype=dtype)
    step, *_ = step_of(cell, torch.zeros(2, 3, cell.input_size, dtype=dtype, requires_grad=True))
    assert step.pair is not None
    for direction, program in (("forward", step.pair.forward), ("backward", step.pair.backward)):
        many = more_rows(program, batch, card.multiprocessors)
        options = choices(program, dtype, many=many, ragged=ragged, card=card)
        if not options:
            raise BuildFailed(f"{name} {direction}: the weights do not fit {card.name}")
        yield Wanted(f"{name} {direction}{' ragged' if ragged else ''}", dtype, Source(program, options[0]))


def build(kernels: Iterable[Wanted], arch: str) -> Iterator[tuple[Wanted, Image | BuildFailed]]:
    """Compile kernels, several at once, into the cache that the executor looks into."""

    def one(kernel: Wanted) -> Image | BuildFailed:
        try:
            return compiled(prelude(kernel.dtype) + kernel.source.text, arch)
        except BuildFailed as error:
            return error

    with ThreadPoolExecutor() as pool:  # which compiles the first while the others are still being derived
        for kernel, image in [(kernel, pool.submit(one, kernel)) for kernel in kernels]:
            yield kernel, image.result()


def every_kernel(arch: str, names: list[str], hidden: int, batch: int, records: Records) -> Iterator[Wanted]:
    """Yield the kernels of all cells and, for LSTM and GRU, of all wrappers and of ragged sequences."""
    made = {name: (CASES[name].cell(hidden, hidden), False) for name in names}
    for name in [name for name in ("LSTMCell", "GRUCell") if name in names]:
        made[f"{name} lengths"] = (CASES[name].cell(hidden, hidden), True)
        made |= {f"{name} {kind}": (wrap(CASES[name].cell(hidden, hidden)), False) for kind, wrap in WRAPPERS.items()}
    for name, (cell, ragged) in made.items():
        for dtype in DTYPES.values():
            try:
                yield from wanted(name, cell, dtype, batch, CARDS[arch], ragged=ragged)
            except (BuildFailed, Refused) as error:
                records.add("compile", f"{name} {arch} {dtype}", ok=False, why=str(error))


def compile_all(archs: list[str], names: list[str], hidden: int, batch: int, records: Records) -> None:
    """Compile every kernel for every architecture; registers that spill are a failure."""
    for arch in archs:
        for kernel, image in build(every_kernel(arch, names, hidden, batch, records), arch):
            what = f"{kernel.what} {arch} {str(kernel.dtype).removeprefix('torch.')}"
            if isinstance(image, BuildFailed):
                records.add("compile", what, ok=False, why=str(image))
                continue
            options = kernel.source.layout.options
            shared = kernel.source.shared_bytes + image.shared
            facts = {"registers": image.registers, "spilled": image.spilled, "shared": shared}
            facts |= {"threads": options.threads, "blocks": options.blocks}
            records.add("compile", what, ok=image.spilled == 0, **facts)
