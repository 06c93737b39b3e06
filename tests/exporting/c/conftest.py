"""Exported models of a test module, compiled together: starting a compiler costs more than a small file."""

import shutil
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from seqmodels.exporting.c.comparing import contexts_for, difference, expected, inputs_for, lengths_for
from seqmodels.exporting.c.compiled import Answer, Compiled, Context
from seqmodels.exporting.c.network import network_of
from seqmodels.exporting.c.source import Source, Where, source

FLAGS = ("-std=c99", "-O0", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover")
LENGTHS = (1, 2, 11)


def cases(names: Iterable[str], clang: Container[str]) -> list[tuple[str, str]]:
    """Return pairs of a compiler and a model: all with gcc, and some with clang too, since compiling takes the time."""
    return [("gcc", name) for name in names] + [("clang", name) for name in names if name in clang]


class Batch:
    """Models in one program for each compiler, built when it is first asked for."""

    def __init__(self, models: Mapping[str, nn.Module], clang: Container[str], folder: Path) -> None:
        self.models, self.clang, self.folder = models, clang, folder
        self.sources: dict[str, Source] = {}
        self.wanted: dict[str, list[np.ndarray]] = {}
        self.programs: dict[str, Compiled | Exception] = {}
        self.answers: dict[tuple[str, str], list[Answer]] = {}

    def program(self, compiler: str) -> Compiled:
        """Return the program of a compiler."""
        if shutil.which(compiler) is None:
            pytest.skip(f"{compiler} is not installed")
        if compiler not in self.programs:
            self.programs[compiler] = self._built(compiler)
        found = self.programs[compiler]
        if isinstance(found, Exception):  # said for every model, and tried once
            raise found
        return found

    def _built(self, compiler: str) -> Compiled | Exception:
        (folder := self.folder / compiler).mkdir(parents=True)
        try:
            names = [name for name in self.models if compiler == "gcc" or name in self.clang]
            for number, name in enumerate(names):
                if name not in self.sources:
                    how: Where = "bin" if number % 2 else "inside"
                    network = network_of(self.models[name])
                    self.sources[name] = source(name, network, weights=how, dtype="float32", about=name)
            return Compiled(folder, {name: self.sources[name] for name in names}, [compiler, *FLAGS])
        except Exception as error:
            return error

    def build(self, compiler: str, name: str) -> list[Answer]:
        """Return the answers of a model."""
        if (compiler, name) not in self.answers:
            self.answers[compiler, name] = self.program(compiler)(name, self.inputs(name), self.contexts(name))
        return self.answers[compiler, name]

    def inputs(self, name: str) -> list[np.ndarray]:
        shape = self.sources[name].shape
        return inputs_for(shape, lengths_for(shape, LENGTHS))

    def contexts(self, name: str) -> list[Context]:
        return contexts_for(self.sources[name].shape, len(LENGTHS))

    def difference(self, compiler: str, name: str) -> float:
        """Return the largest difference from the model, over all lengths."""
        answers = self.build(compiler, name)
        if name not in self.wanted:
            self.wanted[name] = expected(self.models[name], self.inputs(name), self.contexts(name))
        return max(difference(self.models[name], a, w) for a, w in zip(answers, self.wanted[name], strict=True))
