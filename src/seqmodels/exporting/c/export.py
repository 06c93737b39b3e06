"""From a model to a C file that computes the same, compared with the model before it is handed over."""

import re
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

from torch import nn

from seqmodels.errors import ConfigError, Refused
from seqmodels.exporting.c.comparing import contexts_for, difference, expected, inputs_for, lengths_for, methods_of
from seqmodels.exporting.c.compiled import FLAGS, Compiled, compiler
from seqmodels.exporting.c.network import network_of
from seqmodels.exporting.c.source import Source, Where, source
from seqmodels.exporting.c.weights import DType
from seqmodels.exporting.checking import TOLERANCE

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def export_c(
    model: nn.Module,
    *,
    name: str = "model",
    weights: Where = "inside",
    dtype: DType = "float32",
    tolerance: float = TOLERANCE,
    about: str = "",
    measure: Callable[[Mapping[str, Callable[..., Any]]], list[str]] | None = None,
) -> tuple[dict[str, bytes], list[str]]:
    """Return a model as one C99 file and a header, without dependencies but the C library.

    Where there is a compiler, the C is compiled and compared with the model in evaluation mode, float32, over sequences
    of three lengths.

    Args:
        model: a cell, a recurrent layer or stack, or a network of :mod:`seqmodels.models`; it is not changed.
        name: what files, functions and types begin with, a C identifier.
        weights: ``inside`` the C file, or in a ``bin``, which a program reads and hands to ``<name>_init``.
        dtype: of weight matrices and embeddings; ``int8`` has a scale for each row of a weight, activations are floats.
        tolerance: largest difference in float32, relative to the model's largest output or to 1.
        about: what the model is, for the first line of the files.
        measure: of ``int8``, is given what stands in for methods of the model, by name, and runs the compiled C;
            returns further lines.

    Returns:
        Contents of files by name, and lines that say what was done: sizes, operations of a step, the difference.

    Raises:
        ConfigError: an option is none of those above; a part of the model cannot be exported, and the message says
            which; or the compiled C differs from the model.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> files, lines = export_c(GRUCell(3, 5), name="gru")
        >>> list(files), lines[1]
        (['gru.c', 'gru.h'], 'a step: 120 multiply-adds, 70 other operations')
    """
    _check_options(name, weights=(weights, get_args(Where)), dtype=(dtype, get_args(DType)))
    about = re.sub(r"[^\x20-\x7e]|\*/|/\*", " ", about or f"{type(model).__name__}, exported by seqmodels")
    try:
        found = source(name, network_of(model), weights=weights, dtype=dtype, about=about)
        if dtype == "float32":
            lines = _compared(model, name, found, tolerance, None)
        else:
            lines = _compared(model, name, found, None, measure)
    except Refused as error:
        raise ConfigError(str(error)) from error
    files = {f"{name}.c": found.code.encode(), f"{name}.h": found.header.encode()}
    if found.weights is not None:
        files[f"{name}.bin"] = found.weights
    return files, [*_costs(found), *lines]


def _check_options(name: str, **options: tuple[str, tuple[str, ...]]) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(f"name must be a C identifier, got {name!r}")
    for option, (value, choices) in options.items():
        if value not in choices:
            raise ConfigError(f"{option} must be one of {', '.join(choices)}, got {value!r}")


def _costs(found: Source) -> list[str]:
    scratch = f", and {4 * found.scratch} bytes for each step of a sequence" if found.scratch else ""
    pairs = f", {found.pairwise} multiply-adds for each pair of steps" if found.pairwise else ""
    return [
        f"weights: {found.weight_bytes} bytes; state: {found.state_bytes} bytes{scratch}",
        f"a step: {found.multiplications} multiply-adds, {found.pointwise} other operations{pairs}",
    ]


def _compared(
    model: nn.Module,
    name: str,
    found: Source,
    tolerance: float | None,
    measure: Callable[[Mapping[str, Callable[..., Any]]], list[str]] | None,
) -> list[str]:
    """Compare the C with the model; return lines that say by how much they differ.

    Raises:
        Refused: they differ by more than a tolerance.
    """
    if (command := compiler()) is None:
        return ["not compared with the model: no C compiler is installed (CC may name one)"]
    steps = lengths_for(found.shape)
    inputs, contexts = inputs_for(found.shape, steps), contexts_for(found.shape, len(steps))
    with tempfile.TemporaryDirectory() as folder:
        program = Compiled(Path(folder), {name: found}, [*command, *FLAGS])
        answers = program(name, inputs, contexts)
        measured = [] if measure is None else measure(methods_of(model, partial(program, name)))
    wanted = expected(model, inputs, contexts)
    most = max(difference(model, one, right) for one, right in zip(answers, wanted, strict=True))
    if tolerance is not None and not most <= tolerance:
        raise Refused(
            f"the C differs from the model by {most:.2g}, more than tolerance={tolerance:g}: nothing was written"
        )
    lengths = ", ".join(map(str, steps))
    line = f"largest difference from the model: {most:.2g} ({lengths} steps, compiled by {command[0]})"
    return [line, *measured]
